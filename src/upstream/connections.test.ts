import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { ociManifest } from '../core/media-types.ts';
import { makeCertificate } from '../core/testing/certificates.ts';
import {
  failure,
  fakeDns,
  makeClient,
  never,
  openBlob,
  readAll,
  repository,
  someDigest,
} from './testing/test-client.ts';
import { answer, type Handler, TestServer } from './testing/test-server.ts';

const manifest: Handler = (_, response) => answer(response, 200, { 'content-type': ociManifest }, '{}');

function getManifest({ client }: Pick<ReturnType<typeof makeClient>, 'client'>) {
  return client.getManifest(repository, 'latest', ociManifest, 1000, never);
}

describe('an upstream that cannot be reached', () => {
  it('says what failed, and where', async () => {
    const closed = await TestServer.start(manifest);
    const { url, port } = closed;
    await closed[Symbol.asyncDispose]();
    await using refused = makeClient(url).client;
    const error = await failure(getManifest({ client: refused }), 'UPSTREAM_UNREACHABLE');
    assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${port}.*refused`));

    await using unknown = makeClient('https://nowhere.example', { lookup: fakeDns() }).client;
    const dns = await failure(getManifest({ client: unknown }), 'UPSTREAM_UNREACHABLE');
    assert.match(dns.message, /nowhere\.example.*DNS/);

    await using tls = await TestServer.start(manifest, makeCertificate());
    await using untrusted = makeClient(tls.url).client;
    const certificate = await failure(getManifest({ client: untrusted }), 'UPSTREAM_UNREACHABLE');
    assert.match(certificate.message, /127\.0\.0\.1.*TLS.*self-signed/);
  });

  it('because it hangs up says so', async () => {
    await using server = await TestServer.start((_, response) => response.destroy());
    const { client } = makeClient(server.url);
    await using _ = client;
    assert.match((await failure(getManifest({ client }), 'UPSTREAM_UNREACHABLE')).message, /closed/);
  });

  it('because it speaks something else is invalid', async () => {
    await using server = await TestServer.start((_, response) => response.socket?.end('SSH-2.0-x\r\n\r\n'));
    const { client } = makeClient(server.url);
    await using _ = client;
    await failure(getManifest({ client }), 'UPSTREAM_INVALID');
  });
});

describe('the tls settings', () => {
  it('trust the authority wherever the upstream leads, and show the certificate to the upstream alone', async () => {
    const own = makeCertificate();
    const client = makeCertificate();
    const seen: (string | undefined)[] = [];
    const note = (request: { socket: object }) => {
      const peer = (request.socket as { getPeerCertificate(): { subject?: { CN?: string } } }).getPeerCertificate();
      seen.push(peer.subject?.CN);
    };
    await using cdn = await TestServer.start(manifest, { ...own, requestCert: true, rejectUnauthorized: false });
    await using server = await TestServer.start(
      (request, response) => {
        if (request.url.includes('/blobs/')) return answer(response, 307, { location: `${cdn.urlAt('localhost')}/x` });
        answer(response, 200, {}, '{}');
      },
      { ...own, requestCert: true, ca: [client.cert], rejectUnauthorized: true },
    );
    server.server.on('request', note);
    cdn.server.on('request', note);
    const tls = { ca: own.cert, cert: client.cert, key: client.key };
    const made = makeClient(server.url, { tls });
    await using _ = made.client;
    await getManifest(made);
    assert.deepEqual(seen, ['localhost']);
    const elsewhere = await openBlob(made.client, someDigest, 0, undefined, never);
    for await (const _chunk of elsewhere.chunks);
    assert.deepEqual(seen, ['localhost', 'localhost', undefined]);
  });

  it('that are not usable are refused at once, unrepeated', () => {
    const tls = { cert: 'secret', key: 'secret' };
    assert.throws(
      () => makeClient('https://a.example', { tls }),
      (error: Error) => /tls settings/.test(error.message) && !error.message.includes('secret'),
    );
  });
});

describe('a proxy', () => {
  it('carries plain requests, with its own credentials', async () => {
    await using proxy = await TestServer.start(manifest);
    const env = { HTTP_PROXY: `http://user:pw@127.0.0.1:${proxy.port}` };
    const made = makeClient('http://registry.example', { env });
    await using _ = made.client;
    await getManifest(made);
    const [request] = proxy.requests;
    assert.equal(request?.url, 'http://registry.example/v2/library/app/manifests/latest');
    assert.equal(request?.headers.host, 'registry.example');
    const basic = `Basic ${Buffer.from('user:pw').toString('base64')}`;
    assert.equal(request?.headers['proxy-authorization'], basic);
  });

  it('carries https through a tunnel that it cannot look into', async () => {
    const own = makeCertificate();
    await using server = await TestServer.start((_, response) => answer(response, 200, {}, '{}'), own);
    await using proxy = await TestServer.start(manifest);
    const tunnels: string[] = [];
    proxy.server.on('connect', (request, socket) => {
      tunnels.push(request.url ?? '');
      const target = connect(server.port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        target.pipe(socket).pipe(target);
      });
      socket.on('error', () => target.destroy());
      target.on('error', () => socket.destroy());
      socket.on('close', () => target.destroy());
    });
    const made = makeClient('https://registry.corp.test', { env: { https_proxy: proxy.url }, tls: { ca: own.cert } });
    await using _ = made.client;
    await getManifest(made);
    const { chunks } = await openBlob(made.client, someDigest, 0, undefined, never);
    assert.equal((await readAll(chunks)).toString(), '{}');
    assert.deepEqual(new Set(tunnels), new Set(['registry.corp.test:443']));
    assert.equal(proxy.requests.length, 0);
  });

  it('that refuses makes the upstream unreachable', async () => {
    await using proxy = await TestServer.start(manifest);
    proxy.server.on('connect', (_, socket) => socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n'));
    const made = makeClient('https://registry.test', { env: { https_proxy: proxy.url } });
    await using _ = made.client;
    assert.match((await failure(getManifest(made), 'UPSTREAM_UNREACHABLE')).message, /407/);
  });
});

describe('the origins that an upstream redirects to', () => {
  it('may be many: the pools of the first give way, and finish what they have', async () => {
    await using cdn = await TestServer.start((request, response) => {
      if (request.headers.host?.startsWith('cdn0.') !== true) return answer(response, 200, {}, 'x');
      response.writeHead(200, { 'content-length': '2' });
      response.write('a');
      first.resolve(() => response.end('b'));
    });
    const first = Promise.withResolvers<() => void>();
    let host = 0;
    await using server = await TestServer.start((_, response) => {
      answer(response, 307, { location: `${cdn.urlAt(`cdn${host++}.test`)}/blob` });
    });
    const { client } = makeClient(server.url, { lookup: fakeDns() });
    await using _ = client;
    const held = await openBlob(client, someDigest, 0, undefined, never);
    for (let i = 0; i < 70; i++) {
      await readAll((await openBlob(client, someDigest, 0, undefined, never)).chunks);
    }
    (await first.promise)();
    assert.equal((await readAll(held.chunks)).toString(), 'ab');
    assert.ok(cdn.sockets.size <= 64, `${cdn.sockets.size} connections`);
  });
});

describe('a client that is disposed', () => {
  it('ends what is under way and takes nothing more', async () => {
    await using server = await TestServer.start((request, response) => {
      if (request.url.includes('/blobs/')) {
        response.writeHead(200, { 'content-length': '10' });
        response.write('x');
      }
    });
    const { client } = makeClient(server.url);
    const { chunks } = await openBlob(client, someDigest, 0, undefined, never);
    const iterator = chunks[Symbol.asyncIterator]();
    await iterator.next();
    const body = iterator.next();
    const headers = getManifest({ client });
    const ended = [failure(body, 'SHUTTING_DOWN'), failure(headers, 'SHUTTING_DOWN')];
    await client[Symbol.asyncDispose]();
    await Promise.all(ended);
    await failure(getManifest({ client }), 'SHUTTING_DOWN');
    await server.idle();
  });

  it('leaves nothing that keeps the process alive', async () => {
    await using server = await TestServer.start((_, response) => answer(response, 200, {}, '{}'));
    const script = `
      const { makeClient, openBlob, repository, someDigest, never, readAll } = await import(${JSON.stringify(
        new URL('./testing/test-client.ts', import.meta.url).href,
      )});
      const { client } = makeClient(${JSON.stringify(server.url)});
      await client.getManifest(repository, 'latest', 'x', 1000, never);
      await readAll((await openBlob(client, someDigest, 0, undefined, never)).chunks);
      await client[Symbol.asyncDispose]();
      const held = process.getActiveResourcesInfo().filter((name) => !/^(Pipe|TTY)Wrap$|^FS/.test(name));
      console.log(JSON.stringify(held));
    `;
    const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { timeout: 10_000 });
    assert.equal((await run).stdout.trim(), '[]');
  });

  it('has left the caller’s signal alone', async () => {
    await using server = await TestServer.start(manifest);
    const made = makeClient(server.url);
    await using _ = made.client;
    const { signal } = new AbortController();
    let listeners = 0;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...parameters: Parameters<typeof addEventListener>) => {
      listeners++;
      addEventListener.apply(signal, parameters);
    };
    signal.removeEventListener = (...parameters: Parameters<typeof removeEventListener>) => {
      listeners--;
      removeEventListener.apply(signal, parameters);
    };
    await made.client.getManifest(repository, 'latest', ociManifest, 1000, signal);
    await readAll((await openBlob(made.client, someDigest, 0, undefined, signal)).chunks);
    assert.equal(listeners, 0);
  });
});
