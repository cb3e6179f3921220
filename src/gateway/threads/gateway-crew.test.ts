import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, it } from 'node:test';
import { ChangeCount } from '../../core/change-count.ts';
import { systemClock } from '../../core/clock.ts';
import { Channels, type NoticeEvent, type RequestEvent } from '../../telemetry/channels.ts';
import { RequestCounts } from '../../telemetry/request-tally.ts';
import { ThreadReports } from '../../telemetry/thread-reports.ts';
import { gatewayDefaults } from '../server.ts';
import { ask, open } from '../testing/test-client.ts';
import { TestContent } from '../testing/test-content.ts';
import { TestDepot } from '../testing/test-depot.ts';
import { SharedParts } from './depot-host.ts';
import { GatewayCrew } from './gateway-crew.ts';

/** A crew with a depot of the test's own. Its disposal checks that nothing of a client is left. */
class TestCrew implements AsyncDisposable {
  readonly depot = new TestDepot();
  readonly requests: RequestEvent[] = [];
  readonly notices: NoticeEvent[] = [];
  readonly forgotten: number[] = [];
  readonly crew: GatewayCrew;
  readonly #watchers = new Set<() => void>();
  port = 0;

  constructor({ threads = 2, port = 0 } = {}) {
    const channels = new Channels();
    channels.request.subscribe((event) => this.#seen(this.requests, event));
    channels.notice.subscribe((event) => this.#seen(this.notices, event));
    const { depot } = this;
    const counts = new RequestCounts(channels);
    const loopTimes = () => performance.eventLoopUtilization();
    const reports = new ThreadReports({ clock: systemClock, counts, log: undefined, loopTimes });
    const forget = (gateway: number) => void this.forgotten.push(gateway);
    const deps = { depot, hits: undefined, parts: new SharedParts(), reports, channels, clock: systemClock, forget };
    this.crew = new GatewayCrew(deps, {
      threads,
      gateway: { ...gatewayDefaults, host: '127.0.0.1', port },
      names: { registries: ['docker.io'], fallback: 'docker.io' },
      log: { level: 'error', access: false },
      changes: new ChangeCount().shared,
      saysEvents: true,
    });
  }

  static async start(options: { threads?: number; port?: number } = {}): Promise<TestCrew> {
    const crew = new TestCrew(options);
    crew.port = (await crew.crew.listen()).port;
    return crew;
  }

  content(bytes: Buffer, options: ConstructorParameters<typeof TestContent>[1] = {}): TestContent {
    return this.depot.add(new TestContent(bytes, options));
  }

  until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve) => {
      const look = () => {
        if (!condition()) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
    });
  }

  /** Which threads have answered: the ids of requests begin differently in each. */
  get answering(): Set<string | undefined> {
    return new Set(this.requests.map(({ id }) => id.split('-')[0]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.crew[Symbol.asyncDispose]();
    assert.deepEqual(this.crew.load(), { responses: 0, queuedBytes: 0 });
    assert.deepEqual(this.crew.threads.running, 0);
    for (const content of this.depot.contents.values()) {
      assert.ok(content.closes.every((closes) => closes === 1));
      assert.equal(content.waiting, 0);
      content[Symbol.dispose]();
    }
  }

  #seen<T>(events: T[], event: T): void {
    events.push(event);
    for (const look of this.#watchers) look();
  }
}

const path = (digest: string) => `/v2/library/a/blobs/${digest}`;

describe('gateways in threads', () => {
  it('listen on one port and share new connections, and the depot is the same for all', async () => {
    await using crew = await TestCrew.start();
    const { digest, bytes } = crew.content(Buffer.alloc(100_000, 'z'));
    while (crew.answering.size < 2) {
      const answer = await ask(crew.port, path(digest));
      assert.deepEqual(answer.body, bytes);
      await crew.until(() => crew.requests.length === crew.depot.blobRequests.length);
    }
  });

  it('stream what is being filled, and a client that leaves is told to the depot', async () => {
    await using crew = await TestCrew.start();
    const content = crew.content(Buffer.alloc(300_000, 'y'), { filled: 0 });
    const opened = Promise.all([open(crew.port, path(content.digest)), open(crew.port, path(content.digest))]);
    while (content.waiting < 2) await new Promise((resolve) => setImmediate(resolve));
    content.grow(1000);
    const [one, other] = await opened;
    one?.read();
    await one?.has(1000);
    other?.leave();
    while (!content.closes.includes(1)) await new Promise((resolve) => setImmediate(resolve));
    content.finish();
    assert.equal(await one?.over, true);
    assert.deepEqual(one?.body, content.bytes);
  });

  for (const how of ['throw', 'reject', 'exit'] as const) {
    it(`go on where one dies (${how}): it is replaced, what it held is let go, and the port answers`, async () => {
      await using crew = await TestCrew.start();
      const content = crew.content(Buffer.alloc(300_000, 'x'), { filled: 100_000 });
      // As many as it takes for each thread to have some.
      const answers = await Promise.all(Array.from({ length: 32 }, () => open(crew.port, path(content.digest))));
      for (const answer of answers) answer.read();
      await Promise.all(answers.map((answer) => answer.has(100_000)));
      crew.crew.breakDown(0, how);
      await crew.until(() => crew.notices.some(({ fields }) => fields?.event === 'gateway-died'));
      assert.deepEqual(crew.forgotten, [0]);
      const lost = content.closes.filter((closes) => closes === 1).length;
      assert.ok(lost > 0 && lost < 32, `${lost} of 32 were on it`);
      assert.equal(crew.crew.load().responses, 32 - lost, 'what it counted is written off');
      content.finish();
      const complete = await Promise.all(answers.map(({ over }) => over));
      assert.equal(complete.filter((isComplete) => !isComplete).length, lost);
      while (crew.crew.threads.running < 2) await new Promise((resolve) => setTimeout(resolve, 5));
      for (let count = 0; count < 20; count++) assert.equal((await ask(crew.port, '/v2/')).status, 200);
      assert.deepEqual(crew.crew.threads, { running: 2, replaced: 1 });
    });
  }

  it('that die again and again are replaced after pauses that grow, while the others go on', async () => {
    await using crew = await TestCrew.start();
    const died = () => crew.notices.filter(({ fields }) => fields?.event === 'gateway-died');
    for (let deaths = 1; deaths <= 3; deaths++) {
      while (crew.crew.threads.running < 2) await new Promise((resolve) => setTimeout(resolve, 5));
      crew.crew.breakDown(1, 'exit');
      await crew.until(() => died().length === deaths);
      assert.equal((await ask(crew.port, '/v2/')).status, 200);
    }
    assert.deepEqual(
      died().map(({ fields }) => fields?.replacedAfterMs),
      [0, 100, 200],
    );
    assert.match(String(died()[0]?.error), /exit code 3/);
    assert.equal(crew.forgotten.length, 3);
  });

  it('are drained: what runs finishes, nothing new is taken, no thread is left', async () => {
    await using crew = await TestCrew.start();
    const content = crew.content(Buffer.alloc(300_000, 'w'), { filled: 1000 });
    const answers = await Promise.all(Array.from({ length: 8 }, () => open(crew.port, path(content.digest))));
    for (const answer of answers) answer.read();
    const drained = crew.crew.drain(60_000);
    content.finish();
    await drained;
    assert.ok((await Promise.all(answers.map(({ over }) => over))).every(Boolean));
    assert.equal(crew.crew.threads.running, 0);
    await assert.rejects(ask(crew.port, '/v2/'), { code: 'ECONNREFUSED' });
    assert.equal(crew.requests.length, 8, 'every request is told');
  });

  it('are cut when their time is over, and a thread that hangs is ended', async () => {
    await using crew = await TestCrew.start();
    const content = crew.content(Buffer.alloc(300_000, 'v'), { filled: 1000 });
    const answer = await open(crew.port, path(content.digest));
    answer.read();
    crew.crew.breakDown(0, 'hang');
    crew.crew.breakDown(1, 'hang');
    await crew.crew.drain(0);
    assert.equal(await answer.over, false);
    assert.equal(crew.crew.threads.running, 0);
  });

  it('cannot listen where another program does, nor where another crew does, and leave no thread', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const address = other.address();
    assert(typeof address === 'object' && address !== null);
    await using first = await TestCrew.start();
    for (const port of [address.port, first.port]) {
      await using second = new TestCrew({ port });
      await assert.rejects(second.crew.listen(), { code: 'LISTEN_FAILED', message: /another program uses it/ });
    }
    await new Promise((resolve) => other.close(resolve));
    await using third = new TestCrew({ port: address.port });
    assert.equal((await third.crew.listen()).port, address.port);
  });

  it('of two that start on one port at the same moment, one fails', async () => {
    const free = createServer();
    await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
    const address = free.address();
    assert(typeof address === 'object' && address !== null);
    await new Promise((resolve) => free.close(resolve));
    await using one = new TestCrew({ port: address.port });
    await using other = new TestCrew({ port: address.port });
    const results = await Promise.allSettled([one.crew.listen(), other.crew.listen()]);
    assert.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  });
});
