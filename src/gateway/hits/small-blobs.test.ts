import assert from 'node:assert/strict';
import { ftruncateSync, writeSync } from 'node:fs';
import { describe, it } from 'node:test';
import { TestContent } from '../testing/test-content.ts';
import { TestGateway, until } from '../testing/test-gateway.ts';
import { get, LaneClient, undated } from './testing/lane-client.ts';
import { LeasingDepot } from './testing/leasing-depot.ts';

class Setup implements AsyncDisposable {
  readonly depot: LeasingDepot;
  readonly gateway: TestGateway;
  readonly content: TestContent;
  readonly path: string;
  readonly client: LaneClient;

  private constructor(depot: LeasingDepot, gateway: TestGateway, bytes: Buffer) {
    this.depot = depot;
    this.gateway = gateway;
    this.content = depot.add(new TestContent(bytes));
    this.path = `/v2/a/blobs/${this.content.digest}`;
    this.client = new LaneClient(gateway.port);
  }

  static async start(bytes: Buffer, options: Parameters<typeof TestGateway.start>[0] = {}): Promise<Setup> {
    const depot = new LeasingDepot();
    depot.keepUntilMs = Number.POSITIVE_INFINITY;
    return new Setup(depot, await TestGateway.start({ ...options, depot }), bytes);
  }

  get laneAnswers(): number {
    return this.gateway.server.laneAnswers;
  }

  /** Asks until its bytes are in memory. Then the file has something else. */
  async heat(path = this.path): Promise<void> {
    const { heatedBytes } = this;
    while (this.heatedBytes === heatedBytes) {
      await this.client.ask(get(path));
      await until(() => this.depot.leases.every(({ use }) => use.users === 0));
    }
  }

  /** What the file has from now on is not what it should have. */
  spoil(): void {
    writeSync(this.content.fd, Buffer.alloc(this.content.bytes.length, '?'), 0, undefined, 0);
  }

  get heatedBytes(): number {
    return this.gateway.hits?.load.blobBytes ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.leave();
    await this.gateway[Symbol.asyncDispose]();
    for (const { use } of this.depot.leases) assert.equal(use.users, 0, 'a use was not left');
  }
}

const config = Buffer.from(JSON.stringify({ architecture: 'amd64', note: 'x'.repeat(1_000) }));
const layer = Buffer.alloc(100_000, 'layer ');

describe('a small blob that is hot', () => {
  for (const [size, bytes] of [
    ['a config', config],
    ['a layer', layer],
  ] as const) {
    const questions: [string, (path: string) => string][] = [
      ['GET', (path) => get(path)],
      ['HEAD', (path) => get(path).replace('GET', 'HEAD')],
      ['Range of all of it', (path) => get(path, 'Range: bytes=0-')],
      ['If-None-Match', (path) => get(path, 'If-None-Match: *')],
    ];
    for (const [name, headOf] of questions) {
      it(`is answered from memory with the same bytes, and node:http sees nothing of it: ${size}, ${name}`, async () => {
        await using setup = await Setup.start(bytes);
        const head = headOf(setup.path);
        const expected = undated(await setup.client.ask(head));
        await setup.heat();
        setup.spoil();
        for (let round = 0; round < 4; round++) assert.equal(undated(await setup.client.ask(head)), expected);
        assert.ok(setup.laneAnswers >= 3);
      });
    }
  }

  it('is answered from memory in parts too', async () => {
    await using setup = await Setup.start(config);
    await setup.heat();
    setup.spoil();
    const part = await setup.client.ask(get(setup.path, 'Range: bytes=3-12'));
    assert.match(part, /^HTTP\/1.1 206 /);
    assert.ok(part.endsWith(`\r\n\r\n${config.subarray(3, 13).toString()}`));
    const after = await setup.client.ask(get(setup.path, 'Range: bytes=9999999-'));
    assert.match(after, /^HTTP\/1.1 416 /);
  });

  it('is told to the log and the metrics as any other', async () => {
    await using setup = await Setup.start(config);
    await setup.heat();
    const { requests } = setup.gateway;
    const from = requests.length;
    for (let round = 0; round < 3; round++) await setup.client.ask(get(setup.path));
    await setup.gateway.event(from + 2);
    assert.ok(setup.laneAnswers > 0);
    const [first] = requests;
    assert.ok(first);
    const { id: _, firstByteMs: __, durationMs: ___, ...same } = first;
    for (const { id, firstByteMs, durationMs, ...event } of requests.slice(from)) {
      assert.deepEqual(event, same);
      assert.ok(id !== first.id && firstByteMs !== undefined && durationMs >= firstByteMs);
    }
    setup.gateway.clock.advance(1_000);
    const noted = setup.gateway.notes.filter(({ digest }) => digest === setup.content.digest);
    // The first was the depot's.
    assert.equal(
      noted.reduce((sum, { count }) => sum + count, 0),
      requests.length - 1,
    );
  });

  const lost: [string, (setup: Setup) => void][] = [
    ['something changed', ({ depot }) => depot.changes.bump()],
    ['its lease was taken back', ({ depot }) => assert.ok(depot.leases.every(({ use }) => use.takeBack()))],
    ['its time is up', ({ gateway }) => gateway.clock.advance(60_000)],
  ];
  for (const [name, lose] of lost) {
    it(`is asked for anew where ${name}, and then given from memory again`, async () => {
      await using setup = await Setup.start(config);
      setup.depot.keepUntilMs = setup.gateway.clock.now() + 60_000;
      await setup.heat();
      for (let round = 0; round < 3; round++) await setup.client.ask(get(setup.path));
      const asked = setup.depot.blobRequests.length;
      const answers = setup.laneAnswers;
      lose(setup);
      setup.depot.keepUntilMs = Number.POSITIVE_INFINITY;
      await setup.client.ask(get(setup.path));
      assert.deepEqual([setup.depot.blobRequests.length, setup.laneAnswers], [asked + 1, answers]);
      setup.spoil();
      assert.ok((await setup.client.ask(get(setup.path))).endsWith(config.toString()));
      assert.equal(setup.laneAnswers, answers + 1);
      for (const { use } of setup.depot.leases) if (use.isTakenBack) use.forget();
    });
  }

  it('is not given to another repository (P9)', async () => {
    await using setup = await Setup.start(config);
    await setup.heat();
    const asked = setup.depot.blobRequests.length;
    const elsewhere = setup.path.replace('/a/', '/b/');
    await setup.client.ask(get(elsewhere).replace('GET', 'HEAD'));
    await setup.client.ask(get(elsewhere));
    const scopes = setup.depot.blobRequests.slice(asked).map(({ scope, method }) => [scope.repository, method]);
    assert.deepEqual(scopes, [
      ['b', 'HEAD'],
      ['b', 'GET'],
    ]);
  });
});

describe('what is not kept in memory', () => {
  async function askedOften(setup: Setup): Promise<string> {
    let answer = '';
    for (let round = 0; round < 6; round++) answer = await setup.client.ask(get(setup.path));
    await until(() => setup.depot.leases.every(({ use }) => use.users === 0));
    assert.equal(setup.heatedBytes, 0);
    assert.equal(setup.laneAnswers, 0);
    return answer;
  }

  it('a large blob', async () => {
    await using setup = await Setup.start(Buffer.alloc(128 * 1024 + 1, 'x'));
    await askedOften(setup);
  });

  it('an empty one', async () => {
    await using setup = await Setup.start(Buffer.alloc(0));
    assert.match(await askedOften(setup), /\r\nContent-Length: 0\r\n/);
  });

  it('bytes that do not have the digest (P4)', async () => {
    await using setup = await Setup.start(config);
    setup.spoil();
    await askedOften(setup);
  });

  it('a file that ends early', async () => {
    await using setup = await Setup.start(config);
    setup.content.whenUnreadable = () => writeSync(setup.content.fd, config, 0, undefined, 0) as unknown as undefined;
    await setup.client.ask(get(setup.path));
    for (let round = 0; round < 3; round++) {
      ftruncateSync(setup.content.fd, 10);
      await setup.client.ask(get(setup.path));
    }
  });

  it('what is used once under a lease', async () => {
    await using setup = await Setup.start(config);
    for (let round = 0; round < 4; round++) {
      for (let time = 0; time < 2; time++) await setup.client.ask(get(setup.path));
      setup.depot.changes.bump();
    }
    await until(() => setup.depot.leases.every(({ use }) => use.users === 0));
    assert.equal(setup.heatedBytes, 0);
  });
});

describe('a client that does not read', () => {
  it('is owed one small blob at most from here, which counts once however many hold it', async () => {
    await using setup = await Setup.start(layer, { clientTimeoutMs: 1_000 });
    await setup.heat();
    const { gateway } = setup;
    const clients = [new LaneClient(gateway.port), new LaneClient(gateway.port)];
    for (const client of clients) {
      for (let round = 0; round < 2; round++) await client.ask(get(setup.path));
      client.socket.pause();
    }
    while (gateway.server.load().responses < 2) {
      for (const client of clients) client.socket.write(get(setup.path));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { queuedBytes } = gateway.server.load();
    assert.ok(queuedBytes >= layer.length && queuedBytes < 2 * layer.length, `${queuedBytes}`);
    gateway.clock.advance(1_500);
    await until(() => gateway.connections === 1);
    for (const client of clients) {
      client.socket.destroy();
      await client.closed;
    }
  });
});
