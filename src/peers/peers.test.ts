import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, get } from 'node:http';
import { createServer } from 'node:net';
import { describe, it } from 'node:test';
import { systemClock } from '../core/clock.ts';
import { digestOf } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import type { Source, SourceBody, SourceRequest } from '../flights/source.ts';
import { FlightWorld } from '../flights/testing/flight-world.ts';
import { ScriptedSource } from '../flights/testing/scripted-source.ts';
import { PeerShelf } from '../pull/peer-shelf.ts';
import { MemoryContentStore } from '../store/memory/memory-content-store.ts';
import { sampleBytes } from '../store/testing/sample-content.ts';
import { Channels, type NoticeEvent, type PeerBytesEvent } from '../telemetry/channels.ts';
import { PeerClient, peerClientDefaults } from './peer-client.ts';
import { PeerListener, type PeerListenerOptions, peerListenerDefaults } from './peer-listener.ts';
import { PeerVerifier } from './peer-signature.ts';

const content = sampleBytes(3, 10_000);
const digest = digestOf(content);
const holdBackBytes = 100;

/** A node that has things, and others that ask it. */
class Setup implements AsyncDisposable {
  readonly store = new MemoryContentStore();
  readonly world = new FlightWorld(this.store, digest);
  readonly source = new ScriptedSource('upstream', content);
  readonly notices: NoticeEvent[] = [];
  readonly served: PeerBytesEvent[] = [];
  listener: PeerListener;
  address = '';
  readonly #clients: PeerClient[] = [];
  readonly #channels = new Channels();
  readonly #options: Partial<PeerListenerOptions> & { readonly secret?: string | undefined };

  private constructor(options: Partial<PeerListenerOptions> & { secret?: string | undefined }) {
    this.#options = options;
    this.#channels.notice.subscribe((notice) => this.notices.push(notice));
    this.#channels.peerServed.subscribe((event) => this.served.push(event));
    this.listener = this.#newListener(0);
  }

  static async start(options: Partial<PeerListenerOptions> & { secret?: string | undefined } = {}): Promise<Setup> {
    const setup = new Setup({ secret: 'secret', ...options });
    const { host, port } = await setup.listener.listen();
    setup.address = `http://${host}:${port}`;
    return setup;
  }

  client(node = 'a#1', options: { secret?: string | undefined; tls?: { ca: string } } = {}): PeerClient {
    const deps = { clock: systemClock, channels: this.#channels };
    const client = new PeerClient(deps, { ...peerClientDefaults, secret: 'secret', node, ...options });
    this.#clients.push(client);
    return client;
  }

  from(client: PeerClient): Source {
    return client.source({ node: 'holder#1', address: this.address }, digest);
  }

  /** Ends, and comes again where it was. */
  async restart(): Promise<void> {
    await this.listener[Symbol.asyncDispose]();
    this.listener = this.#newListener(Number(new URL(this.address).port));
    await this.listener.listen();
  }

  /** Begins a fill, and brings so much of it. */
  async fill(bytes: number): Promise<void> {
    const reader = await this.world.join(this.source, content.length);
    await this.world.quiet();
    reader.leave();
    this.source.asking[0]?.answer();
    await this.world.quiet();
    await this.bring(bytes);
  }

  async bring(bytes: number): Promise<void> {
    this.source.awaited[0]?.deliver(bytes);
    await this.world.quiet();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) await client[Symbol.asyncDispose]();
    await this.listener[Symbol.asyncDispose]();
    assert.equal(this.listener.children, 0);
    await this.world.table[Symbol.asyncDispose]();
    await this.store[Symbol.asyncDispose]();
  }

  #newListener(port: number): PeerListener {
    const { secret, ...options } = this.#options;
    const shelf = new PeerShelf({ store: this.store, flights: this.world.table }, { holdBackBytes });
    const verifier = secret === undefined ? undefined : new PeerVerifier(systemClock, secret, () => this.address);
    return new PeerListener(
      { clock: systemClock, channels: this.#channels, shelf: () => shelf, verifier },
      { ...peerListenerDefaults, host: '127.0.0.1', port, maxChildren: 2, ...options },
    );
  }
}

function ask(start = 0, end?: number): SourceRequest {
  const urgency = () => ({ waiters: 1, missingBytes: undefined });
  return { start, end, optional: false, urgency, hasAlternative: () => false, waiting: () => {} };
}

const { signal } = new AbortController();

async function bytesOf(body: SourceBody): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body.chunks) chunks.push(Uint8Array.from(chunk));
  return Buffer.concat(chunks);
}

describe('what a peer has', () => {
  it('is had whole and in parts', async () => {
    await using setup = await Setup.start();
    await setup.store.put(digest, content);
    const source = setup.from(setup.client());
    const whole = await source.open(ask(), signal);
    assert.deepEqual([whole.start, whole.blobSizeBytes], [0, content.length]);
    assert.ok((await bytesOf(whole)).equals(content));
    const part = await source.open(ask(500, 700), signal);
    assert.deepEqual([part.start, part.blobSizeBytes, part.isWhole], [500, content.length, false]);
    assert.ok((await bytesOf(part)).equals(content.subarray(500, 700)));
    const rest = await source.open(ask(9_990), signal);
    assert.ok((await bytesOf(rest)).equals(content.subarray(9_990)));
  });

  it('says to nobody but operators which node it is', async () => {
    await using setup = await Setup.start();
    const source = setup.from(setup.client());
    assert.deepEqual([source.name, source.origin], ['peer holder#1', 'peer']);
  });

  it('is told to be missing where it is', async () => {
    await using setup = await Setup.start();
    await assert.rejects(setup.from(setup.client()).open(ask(), signal), { code: 'BLOB_UNKNOWN' });
    assert.equal(setup.source.attempts.length, 0);
  });

  it('is sent while it comes, its end when it is verified', async () => {
    await using setup = await Setup.start();
    await setup.fill(4_000);
    const body = await setup.from(setup.client()).open(ask(1_000), signal);
    assert.equal(body.blobSizeBytes, content.length);
    const received: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of body.chunks) {
      received.push(Uint8Array.from(chunk));
      bytes += chunk.length;
      if (bytes === 3_000) await setup.bring(6_000);
    }
    assert.ok(Buffer.concat(received).equals(content.subarray(1_000)));
    assert.deepEqual(setup.served, [{ node: 'a#1', bytes: 9_000 }]);
  });

  it('a manifest is had by its digest', async () => {
    await using setup = await Setup.start();
    await setup.store.put(digest, content);
    const client = setup.client();
    assert.ok((await client.manifest(setup.address, digest, 100_000, signal))?.equals(content));
    await assert.rejects(client.manifest(setup.address, digest, 100, signal), { code: 'MANIFEST_TOO_LARGE' });
    assert.equal(await client.manifest(setup.address, digestOf(Buffer.from('x')), 100, signal), undefined);
  });
});

/** One more request on the same connection, as long as there is one; what came of it. */
function statusOn(agent: Agent, url: string): Promise<unknown> {
  return new Promise((resolve) => {
    const request = get(url, { agent }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode));
    });
    request.once('error', resolve);
  });
}

it('a peer that stops ends what it sends, and begins nothing any more', async () => {
  await using setup = await Setup.start({ secret: undefined });
  await setup.fill(1_000);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  try {
    const url = `${setup.address}/onepull/peer/v1/blobs/${digest}`;
    const begun = statusOn(agent, url);
    while (setup.listener.children === 0) await new Promise((resolve) => setImmediate(resolve));
    const drained = setup.listener.drain(60_000);
    await setup.bring(9_000);
    assert.equal(await begun, 200);
    await drained;
    assert.notEqual(await statusOn(agent, url), 200);
  } finally {
    agent.destroy();
  }
});

describe('who asks a peer', () => {
  it('has to know the secret, and hears nothing otherwise', async () => {
    await using setup = await Setup.start();
    await setup.store.put(digest, content);
    for (const secret of ['other', undefined]) {
      const opened = setup.from(setup.client('a#1', { secret })).open(ask(), signal);
      await assert.rejects(opened, { code: 'UPSTREAM_UNAUTHORIZED' });
    }
    const plain = await fetch(`${setup.address}/onepull/peer/v1/blobs/${digest}`);
    assert.equal(plain.status, 401);
    assert.equal(await plain.text(), '');
    assert.ok(setup.notices.some(({ fields }) => fields?.event === 'peer-refused'));
  });

  it('goes on with a peer that was started anew', async () => {
    await using setup = await Setup.start();
    await setup.store.put(digest, content);
    const source = setup.from(setup.client());
    await bytesOf(await source.open(ask(), signal));
    await setup.restart();
    // A connection that the other side has closed may be found so only by using it.
    const again = await source.open(ask(), signal).catch(() => source.open(ask(), signal));
    assert.ok((await bytesOf(again)).equals(content));
  });

  it('is one of so many for a blob, and has several parts of it at once', async () => {
    await using setup = await Setup.start();
    await setup.fill(1_000);
    const [first, second, third] = ['a#1', 'b#1', 'c#1'].map((node) => setup.from(setup.client(node)));
    assert.ok(first && second && third);
    const leaving = new AbortController();
    await first.open(ask(), leaving.signal);
    await first.open(ask(500), leaving.signal);
    await second.open(ask(), signal);
    await assert.rejects(third.open(ask(), signal), { code: 'OVERLOADED', retryAfterMs: 1000 });
    leaving.abort(new Error('gone'));
    for (;;) {
      const opened = await third.open(ask(), signal).catch(() => undefined);
      if (opened !== undefined) break;
      await new Promise((resolve) => setImmediate(resolve));
    }
  });

  it('is sent away where the node cannot get on, in mid-body, and may come again', async () => {
    await using setup = await Setup.start();
    await setup.fill(1_000);
    const bodies: SourceBody[] = [];
    for (const node of ['a#1', 'b#1']) bodies.push(await setup.from(setup.client(node)).open(ask(), signal));
    setup.listener.dismiss(digest);
    for (const body of bodies) await assert.rejects(bytesOf(body), { code: 'UPSTREAM_INTERRUPTED' });
    const again = await setup.from(setup.client()).open(ask(), signal);
    await setup.bring(content.length);
    assert.ok((await bytesOf(again)).equals(content));
  });

  it('is told whether a transfer broke off, or the peer is gone', async () => {
    await using setup = await Setup.start();
    await setup.fill(1_000);
    const source = setup.from(setup.client());
    const cut = await source.open(ask(), signal);
    const { listener } = setup;
    await setup.restart();
    assert.notEqual(setup.listener, listener);
    await assert.rejects(bytesOf(cut), { code: 'UPSTREAM_INTERRUPTED' });
    const opened = await source.open(ask(), signal).catch(() => source.open(ask(), signal));
    await setup.listener[Symbol.asyncDispose]();
    await assert.rejects(bytesOf(opened), { code: 'UPSTREAM_UNREACHABLE' });
    await assert.rejects(source.open(ask(), signal), { code: 'UPSTREAM_UNREACHABLE' });
  });

  for (const path of [
    '/',
    '/v2/',
    '/onepull/peer/v1/blobs/x',
    '/onepull/peer/v2/blobs/sha256:aa',
    '/onepull/peer/v1/x/y',
  ]) {
    it(`is told that there is no such path: ${path}`, async () => {
      await using setup = await Setup.start({ secret: undefined });
      assert.equal((await fetch(`${setup.address}${path}`)).status, 404);
    });
  }
});

describe('where a peer is', () => {
  const answers = async (run: (address: string, asked: string[]) => Promise<void>, head: string) => {
    const asked: string[] = [];
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (data) => {
        asked.push(data.toString('latin1').split('\r\n')[0] ?? '');
        if (head === '') socket.destroy();
        else socket.end(head);
      });
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = Object(server.address());
    try {
      await run(`http://127.0.0.1:${port}`, asked);
    } finally {
      server.close();
    }
  };
  const from = (setup: Setup, address: string) => setup.client().source({ node: 'x#1', address }, digest);

  it('is no way to anywhere else', async () => {
    await using setup = await Setup.start();
    const redirect = `HTTP/1.1 307 Temporary Redirect\r\nlocation: ${setup.address}/v2/\r\ncontent-length: 0\r\n\r\n`;
    await answers(async (address, asked) => {
      await assert.rejects(from(setup, address).open(ask(), signal), { code: 'UPSTREAM_FAILED' });
      assert.deepEqual(asked, [`GET /onepull/peer/v1/blobs/${digest} HTTP/1.1`]);
    }, redirect);
  });

  it('is not said to be empty where a connection is closed: somebody listens', async () => {
    await using setup = await Setup.start();
    await answers(async (address) => {
      await assert.rejects(from(setup, address).open(ask(), signal), { code: 'UPSTREAM_INTERRUPTED' });
    }, '');
  });

  for (const address of [
    'x',
    'ftp://127.0.0.1',
    'file:///etc/passwd',
    'http://a:b@127.0.0.1',
    'http://127.0.0.1/path',
    '',
  ]) {
    it(`is not ${JSON.stringify(address)}`, async () => {
      await using setup = await Setup.start();
      await assert.rejects(from(setup, address).open(ask(), signal), { code: 'UPSTREAM_INVALID' });
    });
  }

  it('is nowhere without TLS where certificates are the proof', async () => {
    await using setup = await Setup.start();
    const client = setup.client('a#1', { tls: { ca: 'an authority' } });
    const opened = client.source({ node: 'x#1', address: setup.address }, digest).open(ask(), signal);
    await assert.rejects(opened, { code: 'UPSTREAM_INVALID' });
  });

  it('is asked for many blobs at once, and for each over one connection', async () => {
    await using setup = await Setup.start();
    await setup.fill(1_000);
    const source = setup.from(setup.client());
    assert.equal(source.standing().hasRoom, false);
    const leaving = new AbortController();
    const opened = await Promise.all(Array.from({ length: 100 }, () => source.open(ask(), leaving.signal)));
    assert.equal(opened.length, 100);
    leaving.abort(new AppError('CANCELLED', 'left'));
  });
});
