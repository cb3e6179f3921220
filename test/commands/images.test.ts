import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { command, PseudoTerminal } from '../support/command.ts';
import { type AskedAdmin, ScriptedAdmin } from '../support/scripted-admin.ts';

const nowMs = Date.now();

function image(changes: object = {}) {
  return {
    image: 'docker.io/library/nginx:1.29',
    manifest: `sha256:${'5'.repeat(64)}`,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    platforms: ['linux/amd64', 'linux/arm64'],
    sizeBytes: 70 * 2 ** 20,
    storedBytes: 35 * 2 ** 20,
    lastUsedAtMs: nowMs - 10 * 60_000,
    cachedAtMs: nowMs - 5 * 86_400_000,
    isPinned: false,
    ...changes,
  };
}

/** Serves `all` page by page. */
async function startWith(all: readonly object[], pageSize = 1000): Promise<ScriptedAdmin> {
  const admin = await ScriptedAdmin.start();
  admin.scripts.set('GET /api/v1/images', ({ path }) => {
    const { searchParams } = new URL(path, 'http://x');
    const start = Number(searchParams.get('after') ?? 0);
    const end = start + Math.min(pageSize, Number(searchParams.get('limit')));
    const after = end < all.length ? { after: String(end) } : {};
    return { json: { images: all.slice(start, end), total: all.length, ...after } };
  });
  return admin;
}

function query({ path }: AskedAdmin): Record<string, string> {
  return Object.fromEntries(new URL(path, 'http://x').searchParams);
}

describe('onepull images', { concurrency: 2 }, () => {
  test('is a table, and what is pinned says so', async () => {
    await using admin = await startWith([
      image(),
      image({ image: 'ghcr.io/org/app:2', platforms: [], isPinned: true, sizeBytes: 5 * 2 ** 30 }),
      image({ platforms: ['linux/amd64'], otherPlatforms: [{ platform: 'linux/arm64', storedBytes: 0 }] }),
      image({
        platforms: [],
        otherPlatforms: [
          { platform: 'linux/arm64', sizeBytes: 6 * 2 ** 20, storedBytes: 2 ** 20 },
          ...['a', 'b', 'c', 'd'].map((name) => ({ platform: `linux/${name}`, storedBytes: 0 })),
        ],
      }),
    ]);
    const { code, stdout, stderr } = await command(['images', '--admin', admin.host]);
    assert.deepEqual([code, stderr], [0, '']);
    assert.equal(
      stdout,
      `IMAGE                             SIZE    STORED    USED  CACHED  PIN  PLATFORMS
docker.io/library/nginx:1.29  70.0 MiB  35.0 MiB  10 min  5 days  -    linux/amd64, linux/arm64
ghcr.io/org/app:2              5.0 GiB  35.0 MiB  10 min  5 days  yes  -
docker.io/library/nginx:1.29  70.0 MiB  35.0 MiB  10 min  5 days  -    linux/amd64; not here: linux/arm64
docker.io/library/nginx:1.29  70.0 MiB  35.0 MiB  10 min  5 days  -    not here: linux/arm64 (1.0 MiB of 6.0 MiB is), linux/a, linux/b, linux/c and 1 more`,
    );
  });

  test('asks for what is searched, in the order and number wanted, page by page', async () => {
    const all = Array.from({ length: 450 }, (_, index) => image({ image: `docker.io/library/a:${index}` }));
    await using admin = await startWith(all);
    const flags = ['--search', 'a b&c', '--sort', 'size', '--limit', '420'];
    const { code, stdout } = await command(['images', ...flags, '--admin', admin.host]);
    assert.equal(code, 0);
    assert.match(stdout, /library\/a:419 [\s\S]*\n420 of 450 images; --limit shows more, --search fewer$/);
    assert.deepEqual(admin.asked.map(query), [
      { search: 'a b&c', sort: 'size', limit: '200' },
      { search: 'a b&c', sort: 'size', limit: '200', after: '200' },
      { search: 'a b&c', sort: 'size', limit: '20', after: '400' },
    ]);
  });

  test('an instance whose pages are smaller is asked on; one that gives nothing more is not', async () => {
    const all = Array.from({ length: 30 }, (_, index) => image({ image: `docker.io/library/a:${index}` }));
    await using admin = await startWith(all, 10);
    const { stdout } = await command(['images', '--admin', admin.host, '--json']);
    assert.deepEqual([JSON.parse(stdout).images.length, JSON.parse(stdout).total], [30, 30]);
    admin.says('GET /api/v1/images', { images: [], total: 5, after: 'x' });
    assert.equal((await command(['images', '--admin', admin.host])).stdout, 'The cache holds no image yet.');
    assert.equal(
      (await command(['images', '--search', 'x', '--admin', admin.host])).stdout,
      'No image has that in its name.',
    );
  });

  test('wrong flags are usage errors', async () => {
    for (const flags of [['--sort', 'colour'], ['--limit', '0'], ['--limit', 'many'], ['name']]) {
      assert.equal((await command(['images', ...flags])).code, 2, flags.join(' '));
    }
  });

  for (const columns of [80, 200]) {
    test(`on a terminal of ${columns} columns no line is wider, and of long names the end stays`, async () => {
      const long = `registry.example/${'very/long/'.repeat(15)}name:1.29.4-alpine`;
      await using admin = await startWith([image(), image({ image: long, isPinned: true })]);
      await using terminal = new PseudoTerminal(['images', '--admin', admin.host], { columns });
      assert.equal((await terminal.exited).code, 0);
      for (const line of terminal.text.split('\n')) assert.ok(line.length <= columns, line);
      assert.match(terminal.text, /…\S*name:1\.29\.4-alpine {2}/);
      assert.match(terminal.text, /^IMAGE +SIZE +STORED +USED +CACHED +PIN +PLATFORMS$/m, 'all of its head is there');
    });
  }

  test('80 columns have room for names of 24 letters, figures and a platform; of more it says how many', async () => {
    const platforms = ['linux/amd64', 'linux/arm64', 'linux/arm/v7'];
    const missing = platforms.slice(1).map((platform) => ({ platform, storedBytes: 0 }));
    const hoursMs = 3 * 3_600_000 + 11 * 60_000;
    await using admin = await startWith([
      image({ image: 'ghcr.io/organ/service:29', platforms: ['linux/amd64'], lastUsedAtMs: nowMs - hoursMs }),
      image({ image: 'ghcr.io/organ/service:28', platforms, sizeBytes: 512.3 * 2 ** 20 }),
      image({ image: 'registry.example/team/service:28', platforms: ['windows/amd64'] }),
      image({ image: 'ghcr.io/organ/service:27', platforms: ['linux/amd64'], otherPlatforms: missing }),
      image({ image: 'ghcr.io/organ/service:26', platforms: [], otherPlatforms: missing }),
    ]);
    await using terminal = new PseudoTerminal(['images', '--admin', admin.host], { columns: 80 });
    await terminal.exited;
    assert.deepEqual(terminal.text.split('\n'), [
      'IMAGE                           SIZE    STORED    USED  CACHED  PIN  PLATFORMS',
      'ghcr.io/organ/service:29    70.0 MiB  35.0 MiB     3 h  5 days  -    linux/amd64',
      'ghcr.io/organ/service:28   512.3 MiB  35.0 MiB  10 min  5 days  -    amd64 +2',
      'registry…/team/service:28   70.0 MiB  35.0 MiB  10 min  5 days  -    windows/am…',
      'ghcr.io/organ/service:27    70.0 MiB  35.0 MiB  10 min  5 days  -    linux/amd64',
      'ghcr.io/organ/service:26    70.0 MiB  35.0 MiB  10 min  5 days  -    not here',
    ]);
  });
});

describe('onepull purge', { concurrency: 2 }, () => {
  async function purging(): Promise<ScriptedAdmin> {
    const admin = await ScriptedAdmin.start();
    admin.scripts.set('DELETE /api/v1/images', (asked) => {
      const name = query(asked).image ?? '';
      return name.includes('missing')
        ? { status: 404, json: { errors: [{ code: 'NAME_UNKNOWN', message: 'no such image is here' }] } }
        : {
            json: { removed: [name], freedBytes: 3 * 2 ** 20, following: name === 'b c' ? [{ sizeBytes: 2048 }] : [] },
          };
    });
    return admin;
  }

  test('without a terminal it wants --yes, and asks for nothing before', async () => {
    await using admin = await purging();
    const refused = await command(['purge', 'a:1', '--admin', admin.host]);
    assert.deepEqual([refused.code, refused.stdout, admin.asked.length], [2, '', 0]);
    assert.equal(refused.stderr, 'onepull: nobody is there to confirm it\n    hint: --yes purges without asking');
    const done = await command(['purge', 'a:1', 'b c', '--yes', '--admin', admin.host]);
    assert.deepEqual([done.code, done.stderr], [0, '']);
    assert.equal(done.stdout, 'a:1  purged, 3.0 MiB freed\nb c  purged, 3.0 MiB freed, 2.0 KiB once nobody reads them');
    assert.deepEqual(admin.asked.map(query), [{ image: 'a:1' }, { image: 'b c' }]);
    assert.equal(admin.asked[0]?.headers['content-type'], 'application/json');
  });

  test('says the names that are gone, whole: of a digest each tag', async () => {
    await using admin = await purging();
    admin.says('DELETE /api/v1/images', {
      removed: ['docker.io/library/small:1', 'docker.io/library/small:2'],
      freedBytes: 1024,
      following: [],
    });
    const { stdout } = await command(['purge', 'small@sha256:5', '--yes', '--admin', admin.host]);
    assert.equal(stdout, 'docker.io/library/small:1, docker.io/library/small:2  purged, 1.0 KiB freed');
  });

  test('one that is not there does not keep the others', async () => {
    await using admin = await purging();
    const names = ['missing:1', 'a:1'];
    const { code, stdout, stderr } = await command(['purge', ...names, '--yes', '--admin', admin.host]);
    assert.deepEqual([code, stdout], [1, 'a:1  purged, 3.0 MiB freed']);
    assert.equal(stderr, 'onepull: missing:1: no such image is here\nonepull: 1 of 2 images failed');
    const json = await command(['purge', ...names, '--yes', '--json', '--admin', admin.host]);
    assert.equal(json.code, 1);
    assert.deepEqual(JSON.parse(json.stdout), {
      images: [
        { image: 'missing:1', error: 'no such image is here' },
        { image: 'a:1', removed: ['a:1'], freedBytes: 3 * 2 ** 20, following: [] },
      ],
    });
  });

  test('on a terminal it asks: y is yes, all else is no', async () => {
    await using admin = await purging();
    for (const [keys, code] of [
      ['y\r', 0],
      ['\r', 1],
      ['n\r', 1],
      ['\u0004', 1],
      ['\u0003', 1],
    ] as const) {
      admin.asked.length = 0;
      await using terminal = new PseudoTerminal(['purge', 'a:1', '--admin', admin.host]);
      await terminal.until(({ output }) => output.includes('[y/N]'));
      terminal.type(keys);
      assert.deepEqual([(await terminal.exited).code, admin.asked.length], [code, code === 0 ? 1 : 0], terminal.text);
      assert.match(terminal.text, /^ {2}a:1\nPurge it from the cache\? \[y\/N\]/);
    }
  });

  test('an instance that is not there is told once', async () => {
    const { code, stderr } = await command(['purge', 'a:1', 'b:1', '--yes', '--admin', '127.0.0.1:1']);
    assert.equal(code, 1);
    assert.equal(stderr.match(/no answer/g)?.length, 1);
  });
});

test('a name that is none is a usage error, before or after the instance was asked', async () => {
  await using admin = await ScriptedAdmin.start();
  for (const args of [
    ['pin', ''],
    ['unpin', 'a:1', ' '],
    ['purge', '--yes', ''],
    ['preheat', ''],
  ]) {
    const { code, stderr } = await command([...args, '--admin', admin.host]);
    assert.deepEqual([code, admin.asked.length], [2, 0], stderr);
    assert.match(stderr, /^onepull: command-argument value ' ?' is invalid for argument 'image'\. It is empty\.$/);
  }
  for (const [call, ...args] of [
    ['PUT /api/v1/pins', 'pin'],
    ['DELETE /api/v1/images', 'purge', '--yes'],
  ] as const) {
    admin.refuses(call, 400, 'NAME_INVALID', '"BAD NAME" is not the name of an image');
    const { code, stderr } = await command([...args, 'BAD NAME', '--admin', admin.host]);
    assert.deepEqual([code, stderr], [2, 'onepull: BAD NAME: "BAD NAME" is not the name of an image']);
  }
});

describe('onepull pin and unpin', { concurrency: 2 }, () => {
  test('say how each image stands now', async () => {
    await using admin = await ScriptedAdmin.start();
    for (const [method, isPinned] of [
      ['PUT', true],
      ['DELETE', false],
    ] as const) {
      admin.scripts.set(`${method} /api/v1/pins`, (asked) => ({
        json: { image: `docker.io/library/${query(asked).image}`, isPinned },
      }));
    }
    const pinned = await command(['pin', 'a:1', 'b:1', '--admin', admin.host]);
    assert.deepEqual([pinned.code, pinned.stdout], [0, 'docker.io/library/a:1  pinned\ndocker.io/library/b:1  pinned']);
    const unpinned = await command(['unpin', 'a:1', '--admin', admin.host]);
    assert.deepEqual([unpinned.code, unpinned.stdout], [0, 'docker.io/library/a:1  not pinned']);
    const json = await command(['unpin', 'a:1', '--json', '--admin', admin.host]);
    assert.deepEqual(JSON.parse(json.stdout), { images: [{ image: 'docker.io/library/a:1', isPinned: false }] });
  });

  test('an image that is not there is an error of its own', async () => {
    await using admin = await ScriptedAdmin.start();
    admin.refuses('PUT /api/v1/pins', 404, 'MANIFEST_UNKNOWN', 'no such image is here');
    const { code, stderr } = await command(['pin', 'a:1', '--admin', admin.host]);
    assert.deepEqual([code, stderr], [1, 'onepull: a:1: no such image is here']);
  });
});
