import assert from 'node:assert/strict';
import { mkdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { TemporaryDirectory } from '../../test/support/loopback.ts';
import { Channels } from '../telemetry/channels.ts';
import { AdminServer } from './admin-server.ts';
import { pageRoutes } from './page-routes.ts';

interface Given {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

async function setUp(context: TestContext) {
  const folder = await TemporaryDirectory.make();
  const [missing, pages] = [join(folder.path, 'missing'), join(folder.path, 'pages')];
  const routes = pageRoutes({ folders: [missing, pages] });
  const server = new AdminServer({ channels: new Channels(), routes }, { host: '127.0.0.1', port: 0 });
  const { port } = await server.listen();
  context.after(async () => {
    await server[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });
  /** The path goes out as it is: nothing makes it shorter on the way. */
  const ask = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    new Promise<Given>((resolve, reject) => {
      const outgoing = request({ host: '127.0.0.1', port, method, path, headers, agent: false });
      outgoing.on('error', reject).on('response', async (response) => {
        let text = '';
        for await (const piece of response.setEncoding('utf8')) text += piece;
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
      });
      outgoing.end();
    });
  const build = async (page = '<p>page</p>') => {
    await mkdir(join(pages, 'assets'), { recursive: true });
    await writeFile(join(folder.path, 'secret.txt'), 'hunter2');
    await writeFile(join(pages, 'index.html'), page);
    await writeFile(join(pages, 'icon.svg'), '<svg/>');
    await writeFile(join(pages, '.hidden'), 'hunter2');
    await writeFile(join(pages, 'assets', 'app-1a2b.js'), 'run()');
    await writeFile(join(pages, 'assets', 'app-1a2b.css'), 'p{}');
  };
  return { ask, build, pages, folder: folder.path };
}

test('the page comes with the strictest policy and is asked for again; its assets are kept', async (context) => {
  const { ask, build } = await setUp(context);
  await build();
  for (const path of ['/', '/index.html']) {
    const { status, headers, text } = await ask(path);
    assert.deepEqual([status, text, headers['content-type']], [200, '<p>page</p>', 'text/html; charset=utf-8']);
    assert.equal(headers['cache-control'], 'no-cache');
    const policy = String(headers['content-security-policy']);
    assert.match(
      policy,
      /^default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';.* frame-ancestors 'none'$/,
    );
    assert.doesNotMatch(policy, /unsafe|http|\*|data:/);
    assert.equal(headers['x-content-type-options'], 'nosniff');
  }
  for (const [path, type] of [
    ['/assets/app-1a2b.js', 'text/javascript; charset=utf-8'],
    ['/assets/app-1a2b.css', 'text/css; charset=utf-8'],
  ] as const) {
    const { status, headers } = await ask(path);
    assert.deepEqual([status, headers['content-type']], [200, type]);
    assert.equal(headers['cache-control'], 'public, max-age=31536000, immutable');
  }
  assert.equal((await ask('/icon.svg')).headers['content-type'], 'image/svg+xml');
});

test('HEAD has the size; who has the page is told so', async (context) => {
  const { ask, build } = await setUp(context);
  await build();
  const head = await ask('/', {}, 'HEAD');
  assert.deepEqual([head.status, head.headers['content-length'], head.text], [200, '11', '']);
  const etag = String(head.headers.etag);
  for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
    const again = await ask('/', { 'if-none-match': known });
    assert.deepEqual([again.status, again.headers.etag, again.text], [304, etag, '']);
    assert.equal(again.headers['content-length'], undefined);
  }
  assert.equal((await ask('/', { 'if-none-match': '"other"' })).status, 200);
});

test('no path leads out of the folder, nor to what is hidden or linked in it', async (context) => {
  const { ask, build, pages, folder } = await setUp(context);
  await build();
  await symlink(join(folder, 'secret.txt'), join(pages, 'assets', 'link.txt'));
  await symlink(folder, join(pages, 'assets', 'up'));
  for (const path of [
    '/../secret.txt',
    '/..%2fsecret.txt',
    '/%2e%2e/secret.txt',
    '/%2e%2e%2fsecret.txt',
    '/assets/../../secret.txt',
    '/assets/..%2f..%2fsecret.txt',
    '/assets/..%5c..%5csecret.txt',
    '/assets/%2e%2e%2f%2e%2e%2fsecret.txt',
    '/assets/..%00/secret.txt',
    '/assets/link.txt',
    '/assets/up%2fsecret.txt',
    `/assets/${encodeURIComponent(join(folder, 'secret.txt'))}`,
    '/.hidden',
    '/assets/',
    '/assets',
    '//secret.txt',
    '/__proto__',
    '/assets/constructor',
  ]) {
    const { status, text } = await ask(path);
    assert.equal(status, 404, path);
    assert.doesNotMatch(text, /hunter2/, path);
  }
});

test('where nothing is built, the page says how to build it, and is there once it is', async (context) => {
  const { ask, build } = await setUp(context);
  const before = await ask('/');
  assert.equal(before.status, 404);
  assert.match(before.text, /not built.*npm run build:web/s);
  assert.equal((await ask('/assets/app-1a2b.js')).status, 404);
  await build();
  assert.equal((await ask('/')).text, '<p>page</p>');
});

test('after another build the new page is served, with what belongs to it', async (context) => {
  const { ask, build, pages } = await setUp(context);
  await build();
  const { etag } = (await ask('/')).headers;
  await build('<p>next</p>');
  await writeFile(join(pages, 'assets', 'app-3c4d.js'), 'next()');
  await utimes(join(pages, 'index.html'), new Date(), new Date(Date.now() + 5000));
  const next = await ask('/', { 'if-none-match': String(etag) });
  assert.deepEqual([next.status, next.text], [200, '<p>next</p>']);
  assert.equal((await ask('/assets/app-3c4d.js')).text, 'next()');
});
