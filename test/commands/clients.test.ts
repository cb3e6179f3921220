import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { command } from '../support/command.ts';
import { TemporaryDirectory } from '../support/loopback.ts';
import { ScriptedAdmin } from '../support/scripted-admin.ts';
import { answers, settings } from './answers.ts';

const upstreams = {
  'docker.io': 'https://registry-1.docker.io',
  'ghcr.io': 'https://ghcr.io',
  'registry.example:5000': 'http://registry.example:5000',
};

async function startInstance(status: object = {}, defaultName = 'docker.io'): Promise<ScriptedAdmin> {
  return await ScriptedAdmin.start({
    ...answers({ status }),
    'GET /api/v1/settings': settings(upstreams, defaultName),
  });
}

const at = ['--address', 'cache.example:5000'];

describe('onepull clients', { concurrency: 2 }, () => {
  test('containerd gets a hosts file for each registry, which falls back to that registry itself', async () => {
    await using admin = await startInstance();
    const { code, stdout, stderr } = await command(['clients', 'containerd', ...at, '--admin', admin.host]);
    assert.equal(code, 0);
    assert.equal(
      stdout,
      `# /etc/containerd/certs.d/docker.io/hosts.toml
server = "https://registry-1.docker.io"

[host."http://cache.example:5000"]
  capabilities = ["pull", "resolve"]

# /etc/containerd/certs.d/ghcr.io/hosts.toml
server = "https://ghcr.io"

[host."http://cache.example:5000"]
  capabilities = ["pull", "resolve"]

# /etc/containerd/certs.d/registry.example:5000/hosts.toml
server = "http://registry.example:5000"

[host."http://cache.example:5000"]
  capabilities = ["pull", "resolve"]`,
    );
    assert.match(stderr, /^# A file for each registry[\s\S]*config_path = "\/etc\/containerd\/certs\.d"/);
  });

  test('containerd: one registry alone goes into its file as it is, and --write writes them all', async () => {
    await using admin = await startInstance();
    await using folder = await TemporaryDirectory.make();
    const one = await command(['clients', 'containerd', ...at, '--admin', admin.host, '--registry', 'ghcr.io']);
    const written = join(folder.path, 'certs.d');
    const write = ['clients', 'containerd', ...at, '--admin', admin.host, '--write', written];
    const all = await command(write);
    assert.deepEqual([all.code, all.stdout], [0, '']);
    const said = (word: string) =>
      ['docker.io', 'ghcr.io', 'registry.example:5000'].map((name) => `# ${word}: ${written}/${name}/hosts.toml\n`);
    const elsewhere = `# On each client they belong below /etc/containerd/certs.d: copy ${written} there.\n`;
    assert.ok(all.stderr.startsWith([...said('written'), elsewhere].join('')), all.stderr);
    const again = await command(write);
    assert.equal(again.code, 0);
    assert.ok(again.stderr.startsWith([...said('unchanged'), elsewhere].join('')), again.stderr);
    assert.deepEqual((await readdir(written)).sort(), ['docker.io', 'ghcr.io', 'registry.example:5000']);
    assert.equal(await readFile(join(written, 'ghcr.io/hosts.toml'), 'utf8'), `${one.stdout}\n`);
    // Again, with another address: what it wrote itself may be written over; what somebody else wrote may not.
    assert.equal((await command([...write, '--address', 'other.example:5000'])).code, 0);
    assert.match(await readFile(join(written, 'ghcr.io/hosts.toml'), 'utf8'), /other\.example/);
    await mkdir(join(written, 'quay.io'));
    await writeFile(join(written, 'docker.io/hosts.toml'), 'server = "https://mine.example"\n');
    const refused = await command(write);
    assert.equal(refused.code, 1);
    assert.match(await readFile(join(written, 'ghcr.io/hosts.toml'), 'utf8'), /other\.example/, 'nothing is written');
    assert.match(refused.stderr, /docker\.io\/hosts\.toml is there already, and is not of this command\n {4}hint:/);
    assert.match(await readFile(join(written, 'docker.io/hosts.toml'), 'utf8'), /mine\.example/);
  });

  test('podman and CRI-O get a drop-in with a mirror for each registry that a path can name', async () => {
    await using admin = await startInstance();
    for (const [client, next] of [
      ['podman', /Podman, skopeo and buildah read it at each pull/],
      ['crio', /systemctl reload crio/],
    ] as const) {
      const { code, stdout, stderr } = await command(['clients', client, ...at, '--admin', admin.host]);
      assert.equal(code, 0);
      assert.equal(
        stdout,
        `# /etc/containers/registries.conf.d/50-onepull.conf
[[registry]]
prefix = "docker.io"
location = "docker.io"
[[registry.mirror]]
location = "cache.example:5000/docker.io"
insecure = true

[[registry]]
prefix = "ghcr.io"
location = "ghcr.io"
[[registry.mirror]]
location = "cache.example:5000/ghcr.io"
insecure = true`,
      );
      assert.match(stderr, /^# note: registry\.example:5000 is left out: a mirror's path cannot hold a port\.\n/);
      assert.match(stderr, next);
    }
  });

  test('docker gets the keys of daemon.json, and nothing where the cache does not take Docker Hub for granted', async () => {
    await using admin = await startInstance();
    const { code, stdout, stderr } = await command(['clients', 'docker', ...at, '--admin', admin.host]);
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(stdout), {
      'registry-mirrors': ['http://cache.example:5000'],
      'insecure-registries': ['cache.example:5000'],
    });
    assert.match(stderr, /^# \/etc\/docker\/daemon\.json\n# note: Docker mirrors Docker Hub only.*\n# Where that file/);
    await using other = await startInstance({}, 'ghcr.io');
    const refused = await command(['clients', 'docker', ...at, '--admin', other.host]);
    assert.deepEqual([refused.code, refused.stdout], [1, '']);
    assert.match(
      refused.stderr,
      /^onepull: Docker mirrors Docker Hub only, and this cache has another registry as its default\n/,
    );
  });

  test('k3s gets a registries.yaml', async () => {
    await using admin = await startInstance();
    const { code, stdout } = await command(['clients', 'k3s', ...at, '--admin', admin.host]);
    assert.equal(code, 0);
    const endpoint = ['http://cache.example:5000'];
    assert.deepEqual(parse(stdout), {
      mirrors: { 'docker.io': { endpoint }, 'ghcr.io': { endpoint }, 'registry.example:5000': { endpoint } },
    });
  });

  test('with TLS all speak https, and trust the authority where they are told of one', async () => {
    await using admin = await startInstance({ tls: true });
    const ask = (client: string, ...more: string[]) =>
      command(['clients', client, ...at, '--admin', admin.host, '--registry', 'docker.io', ...more]);
    const ca = ['--ca', '/etc/ssl/onepull-ca.pem'];
    const containerd = await ask('containerd', ...ca);
    assert.match(
      containerd.stdout,
      /\[host\."https:\/\/cache\.example:5000"\]\n.*\n {2}ca = "\/etc\/ssl\/onepull-ca\.pem"$/,
    );
    const podman = await ask('podman', ...ca);
    assert.doesNotMatch(podman.stdout, /insecure/);
    assert.match(
      podman.stderr,
      /Copy \/etc\/ssl\/onepull-ca\.pem to \/etc\/containers\/certs\.d\/cache\.example:5000\/ca\.crt/,
    );
    const docker = await ask('docker', ...ca);
    assert.deepEqual(JSON.parse(docker.stdout), { 'registry-mirrors': ['https://cache.example:5000'] });
    assert.match(docker.stderr, /to \/etc\/docker\/certs\.d\/cache\.example:5000\/ca\.crt/);
    const k3s = await ask('k3s', ...ca);
    assert.deepEqual(parse(k3s.stdout).configs, {
      'cache.example:5000': { tls: { ca_file: '/etc/ssl/onepull-ca.pem' } },
    });
    const publicly = await ask('containerd');
    assert.doesNotMatch(publicly.stdout, /ca =/);
    assert.match(publicly.stderr, /note: The cache speaks TLS\..*--ca FILE/);
    await using plain = await startInstance();
    const wrong = await command(['clients', 'podman', ...ca, '--admin', plain.host]);
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /^onepull: --ca: this cache does not speak TLS/);
  });

  test('without --address: where it listens; of what listens everywhere, the name of this machine, as a guess', async () => {
    await using everywhere = await startInstance({ listen: '0.0.0.0:5000' });
    const guessed = await command(['clients', 'k3s', '--admin', everywhere.host]);
    assert.ok(guessed.stdout.includes(`http://${hostname().toLowerCase()}:5000`));
    assert.match(guessed.stderr, /note: \S+:5000 is a guess; --address HOST:PORT/);
    await using local = await startInstance({ listen: '127.0.0.1:5000' });
    const near = await command(['clients', 'k3s', '--admin', local.host]);
    assert.match(near.stdout, /http:\/\/127\.0\.0\.1:5000/);
    assert.match(near.stderr, /note: It listens on loopback/);
    await using six = await startInstance({ listen: '[2001:db8::7]:5000' });
    assert.match((await command(['clients', 'k3s', '--admin', six.host])).stdout, /http:\/\/\[2001:db8::7\]:5000/);
  });

  test('of a configuration nobody is asked, and its secrets need not be here', async () => {
    await using folder = await TemporaryDirectory.make();
    const file = join(folder.path, 'onepull.yaml');
    await writeFile(
      file,
      `listen: 10.0.0.7:5000
server: { tls: { cert: /etc/onepull/tls.crt, key: /etc/onepull/tls.key } }
upstreams: { corp.example: { url: https://a.corp.example, credentials: { username: u, passwordFile: /run/none } } }
`,
    );
    const { code, stdout } = await command(['clients', 'containerd', '--config', file]);
    assert.equal(code, 0);
    assert.match(
      stdout,
      /certs\.d\/corp\.example\/hosts\.toml\nserver = "https:\/\/corp\.example"\n\n\[host\."https:\/\/10\.0\.0\.7:5000"\]/,
    );
  });

  test('--json has files, what to do and what is left out', async () => {
    await using admin = await startInstance();
    const { code, stdout, stderr } = await command(['clients', 'podman', ...at, '--admin', admin.host, '--json']);
    assert.deepEqual([code, stderr], [0, '']);
    const { files, notes, next, address, tls } = JSON.parse(stdout);
    assert.deepEqual([files.length, notes.length, next.length, address, tls], [1, 1, 1, 'cache.example:5000', false]);
    assert.equal(files[0].path, '/etc/containers/registries.conf.d/50-onepull.conf');
  });

  test('what is wrong is told with what would be right', async () => {
    await using admin = await startInstance();
    for (const [args, code, said] of [
      [['clients', 'rkt'], 2, /Allowed choices are containerd, docker, podman, crio, k3s/],
      [['clients'], 2, /missing required argument 'client'/],
      [['clients', 'k3s', '--address', 'x'], 2, /^onepull: --address: "x" is not an address\n {4}hint: host:port/],
      [
        ['clients', 'k3s', '--registry', 'a.example'],
        2,
        /a\.example is not cached here\n {4}hint: one of: docker\.io, ghcr/,
      ],
      [['clients', 'k3s', '--write', '/tmp'], 2, /--write is for containerd/],
      [
        ['clients', 'podman', '--registry', 'registry.example:5000'],
        1,
        /nothing is left for podman: registry\.example:5000/,
      ],
    ] as const) {
      const outcome = await command([...args, '--admin', admin.host]);
      assert.deepEqual([outcome.code, outcome.stdout], [code, ''], outcome.stderr);
      assert.match(outcome.stderr, said);
    }
  });
});
