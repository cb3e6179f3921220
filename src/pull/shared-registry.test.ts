import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { coordinatorDefaults } from '../cluster/coordinator.ts';
import { MemoryCoordinator } from '../cluster/memory/memory-coordinator.ts';
import { MemoryEngine } from '../cluster/memory/memory-engine.ts';
import { testNode } from '../cluster/testing/coordinator-suite.ts';
import { type Digest, digestOf } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import { parseRepositoryName, type RepositoryName } from '../core/repository-name.ts';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import { SharedRegistry, sharedRegistryDefaults } from './shared-registry.ts';
import type { Registry } from './upstreams.ts';

const bytes = Buffer.from('{"schemaVersion":2}');
const digest = digestOf(bytes);
const mediaType = 'application/vnd.oci.image.manifest.v1+json';
const accept = mediaType;
const { signal } = new AbortController();

function nameOf(text: string): RepositoryName {
  const name = parseRepositoryName(text);
  assert.ok(name);
  return name;
}

const repository = nameOf('library/alpine');

/** An upstream that answers when a test says so. */
class TestUpstream implements Registry {
  readonly asked: string[] = [];
  /** Waited for by each request. */
  gate: Promise<void> = Promise.resolve();
  failure: AppError | undefined;
  readonly blobSources = () => [];
  readonly outageMs = () => 0;
  readonly listTags = () => Promise.reject(new Error('not here'));
  readonly referrers = () => Promise.reject(new Error('not here'));

  async getManifest(_: RepositoryName, reference: string) {
    await this.#answer(`get ${reference}`);
    return { digest, mediaType, bytes };
  }

  async headManifest(_: RepositoryName, reference: string) {
    await this.#answer(`head ${reference}`);
    return { digest, mediaType, sizeBytes: bytes.length };
  }

  async headBlob(_: RepositoryName, of: Digest) {
    await this.#answer(`blob ${of}`);
    return { sizeBytes: 7, mediaType: undefined };
  }

  async #answer(what: string): Promise<void> {
    this.asked.push(what);
    await this.gate;
    if (this.failure !== undefined) throw this.failure;
  }
}

class Setup {
  readonly #tagTtlMs: number;
  readonly clock = new VirtualClock();
  readonly engine = new MemoryEngine(this.clock, coordinatorDefaults);
  readonly upstream = new TestUpstream();
  readonly coordinators: MemoryCoordinator[] = [];
  /** What peers have, by address. */
  readonly shelves = new Map<string, Uint8Array>();
  readonly nodes: readonly SharedRegistry[];

  constructor(tagTtlMs = 60_000) {
    this.#tagTtlMs = tagTtlMs;
    this.nodes = ['a', 'b', 'c'].map((name) => this.#node(name));
  }

  #node(name: string): SharedRegistry {
    const facts = testNode(name);
    const coordinator = new MemoryCoordinator(this.engine, facts);
    this.coordinators.push(coordinator);
    this.shelves.set(facts.address, bytes);
    return new SharedRegistry(
      {
        clock: this.clock,
        coordinator,
        registry: this.upstream,
        manifestFrom: async (address) => this.shelves.get(address),
      },
      { ...sharedRegistryDefaults, name: 'docker.io', address: facts.address, tagTtlMs: this.#tagTtlMs },
    );
  }

  /** What each node is told who asks now, while time passes. */
  async all<T>(ask: (node: SharedRegistry) => Promise<T>): Promise<PromiseSettledResult<T>[]> {
    return this.during(Promise.allSettled(this.nodes.map(ask)));
  }

  async during<T>(work: Promise<T>): Promise<T> {
    let isOver = false;
    const over = work.finally(() => {
      isOver = true;
    });
    while (!isOver) {
      await new Promise((resolve) => setImmediate(resolve));
      if (!isOver) this.clock.advance(10);
    }
    assert.equal(this.clock.pending, 0, 'timers are left');
    return over;
  }
}

describe('what several nodes ask of an upstream', () => {
  it('is asked once for all that ask at once: the head of a tag', async () => {
    const setup = new Setup();
    const answers = await setup.all((node) => node.headManifest(repository, 'latest', accept, signal));
    assert.deepEqual(setup.upstream.asked, ['head latest']);
    for (const answer of answers) {
      assert.ok(answer.status === 'fulfilled');
      assert.deepEqual({ ...answer.value, ageMs: 0 }, { digest, mediaType, sizeBytes: bytes.length, ageMs: 0 });
    }
  });

  it('who asks how it is now is not told what another node was told before; the others are told the newer word', async () => {
    const setup = new Setup();
    const [first, second, third] = setup.nodes;
    assert.ok(first && second && third);
    await setup.during(first.headManifest(repository, 'latest', accept, signal));
    setup.clock.advance(1000);
    await setup.during(second.headManifest(repository, 'latest', accept, signal, 0));
    assert.equal(setup.upstream.asked.length, 2);
    setup.clock.advance(500);
    const told = await setup.during(third.headManifest(repository, 'latest', accept, signal));
    assert.equal(setup.upstream.asked.length, 2);
    assert.ok((told?.ageMs ?? Number.POSITIVE_INFINITY) < 1000);
  });

  it('a manifest comes from upstream once, and from the node that has it', async () => {
    const setup = new Setup();
    const answers = await setup.all((node) => node.getManifest(repository, 'latest', accept, 1000, signal));
    assert.deepEqual(setup.upstream.asked, ['get latest']);
    for (const answer of answers) assert.ok(answer.status === 'fulfilled' && bytes.equals(answer.value.bytes));
  });

  it('a manifest that peers do not have any more, or not as it was, is asked for', async () => {
    for (const shelf of [undefined, Buffer.from('something else')]) {
      const setup = new Setup();
      const [first, second] = setup.nodes;
      assert.ok(first && second);
      await setup.during(first.getManifest(repository, digest, accept, 1000, signal));
      for (const address of setup.shelves.keys()) setup.shelves.delete(address);
      if (shelf !== undefined) setup.shelves.set(testNode('a').address, shelf);
      const answer = await setup.during(second.getManifest(repository, digest, accept, 1000, signal));
      assert.ok(bytes.equals(answer.bytes));
      assert.equal(setup.upstream.asked.length, 2);
    }
  });

  it('that a repository has a blob is asked once', async () => {
    const setup = new Setup();
    const answers = await setup.all((node) => node.headBlob(repository, digest, signal));
    assert.deepEqual(setup.upstream.asked, [`blob ${digest}`]);
    for (const answer of answers) assert.ok(answer.status === 'fulfilled' && answer.value.sizeBytes === 7);
    const [node] = setup.nodes;
    await setup.during(node?.headBlob(nameOf('library/busybox'), digest, signal) ?? Promise.reject());
    assert.equal(setup.upstream.asked.length, 2);
  });

  it('what is told is as old as it is, and is asked for anew when it is too old', async () => {
    const setup = new Setup();
    const [first, second] = setup.nodes;
    assert.ok(first && second);
    await setup.during(first.headManifest(repository, 'latest', accept, signal));
    setup.clock.advance(40_000);
    const answer = await setup.during(second.headManifest(repository, 'latest', accept, signal));
    assert.ok(answer?.ageMs !== undefined && answer.ageMs >= 40_000 && answer.ageMs < 41_000);
    setup.clock.advance(20_001);
    const again = await setup.during(second.headManifest(repository, 'latest', accept, signal));
    assert.equal(again?.ageMs, undefined);
    assert.equal(setup.upstream.asked.length, 2);
  });

  it('a question that takes long is waited for', async () => {
    const setup = new Setup();
    const { promise, resolve } = Promise.withResolvers<void>();
    setup.upstream.gate = promise;
    const asked = setup.all((node) => node.headManifest(repository, 'latest', accept, signal));
    while (setup.clock.monotonic() < 7000) await new Promise((turn) => setImmediate(turn));
    resolve();
    await asked;
    assert.equal(setup.upstream.asked.length, 1);
  });

  it('a node whose own way to upstream is broken keeps nobody from asking', async () => {
    const setup = new Setup();
    const [first, second] = setup.nodes;
    assert.ok(first && second);
    const { promise: never, resolve } = Promise.withResolvers<void>();
    setup.upstream.gate = never;
    const stuck = first.headManifest(repository, 'latest', accept, signal);
    await new Promise((turn) => setImmediate(turn));
    setup.upstream.gate = Promise.resolve();
    const waiting = second.headManifest(repository, 'latest', accept, signal);
    let answered: Awaited<typeof waiting>;
    void waiting.then((value) => {
      answered = value;
    });
    while (answered === undefined) {
      assert.ok(setup.clock.monotonic() < 20_000, 'it waits for ever');
      await new Promise((turn) => setImmediate(turn));
      setup.clock.advance(100);
    }
    assert.equal(answered.digest, digest);
    resolve();
    await setup.during(stuck);
  });

  it('who waited is told also where nothing counts for any time', async () => {
    const setup = new Setup(0);
    const { promise, resolve } = Promise.withResolvers<void>();
    setup.upstream.gate = promise;
    const asked = setup.all((node) => node.headManifest(repository, 'latest', accept, signal));
    while (setup.clock.monotonic() < 1000) await new Promise((turn) => setImmediate(turn));
    resolve();
    await asked;
    assert.equal(setup.upstream.asked.length, 1);
    await setup.during(setup.nodes[0]?.headManifest(repository, 'latest', accept, signal) ?? Promise.reject());
    assert.equal(setup.upstream.asked.length, 2);
  });

  it("upstream's refusal is told to all who ask, and to nobody a moment later", async () => {
    const setup = new Setup();
    setup.upstream.failure = new AppError('MANIFEST_UNKNOWN', 'no such tag', { details: { upstream: 'docker.io' } });
    const answers = await setup.all((node) => node.getManifest(repository, 'none', accept, 1000, signal));
    for (const answer of answers) {
      assert.ok(answer.status === 'rejected');
      assert.deepEqual([answer.reason.code, answer.reason.message], ['MANIFEST_UNKNOWN', 'no such tag']);
    }
    assert.equal(setup.upstream.asked.length, 1);
    setup.upstream.failure = undefined;
    setup.clock.advance(1001);
    await setup.during(setup.nodes[1]?.getManifest(repository, 'none', accept, 1000, signal) ?? Promise.reject());
  });

  it('a node that cannot reach upstream speaks for itself alone', async () => {
    const setup = new Setup();
    setup.upstream.failure = new AppError('UPSTREAM_UNREACHABLE', 'no route');
    const answers = await setup.all((node) => node.headManifest(repository, 'latest', accept, signal));
    assert.ok(answers.every(({ status }) => status === 'rejected'));
    assert.equal(setup.upstream.asked.length, 3);
  });

  it('is asked by each node alone where there is no engine', async () => {
    const setup = new Setup();
    for (const coordinator of setup.coordinators) coordinator.isCut = true;
    const answers = await setup.all((node) => node.headManifest(repository, 'latest', accept, signal));
    assert.ok(answers.every(({ status }) => status === 'fulfilled'));
    assert.equal(setup.upstream.asked.length, 3);
  });

  it('what cannot be made out is as good as nothing', async () => {
    const setup = new Setup();
    const [first, second] = setup.nodes;
    assert.ok(first && second);
    for (const text of [
      '{',
      '5',
      '{"digest":5}',
      '{"refusal":{"code":"x","message":"y"}}',
      '{"refusal":{"code":"INTERNAL","message":"y"}}',
    ]) {
      setup.engine.forgetAll();
      const key = ['head', 'docker.io', repository, 'latest', accept].join(' ');
      const claim = setup.engine.claim('x#1', key, 0);
      assert.ok(claim.kind === 'mine');
      setup.engine.settle(key, claim.token, text, 60_000);
      const answered: { digest: Digest | undefined } | undefined = await setup.during(
        second.headManifest(repository, 'latest', accept, signal),
      );
      assert.equal(answered?.digest, digest, text);
    }
  });

  it('what would be no header, no size and no status is not taken from anybody', async () => {
    const setup = new Setup();
    const [node] = setup.nodes;
    assert.ok(node);
    const tell = (text: string) => {
      setup.engine.forgetAll();
      const key = ['head', 'docker.io', repository, 'latest', accept].join(' ');
      const claim = setup.engine.claim('x#1', key, 0);
      assert.ok(claim.kind === 'mine');
      setup.engine.settle(key, claim.token, text, 60_000);
      return setup.during(node.headManifest(repository, 'latest', accept, signal).catch((error: unknown) => error));
    };
    await tell(JSON.stringify({ digest, mediaType: 'a/b\r\nx: y', sizeBytes: 5 }));
    assert.equal(setup.upstream.asked.length, 1);
    const sized = await tell(JSON.stringify({ digest, mediaType, sizeBytes: -5 }));
    assert.deepEqual({ ...Object(sized), ageMs: 0 }, { digest, mediaType, sizeBytes: undefined, ageMs: 0 });
    const refusal = { code: 'MANIFEST_UNKNOWN', message: 'no', status: 99_999, details: { a: { b: 1 }, c: 'd' } };
    const refused = await tell(JSON.stringify({ refusal }));
    assert.ok(refused instanceof AppError);
    assert.deepEqual([refused.status, refused.details], [404, { c: 'd' }]);
  });

  it('who leaves while another node asks does not wait', async () => {
    const setup = new Setup();
    const [first, second] = setup.nodes;
    assert.ok(first && second);
    const { promise, resolve } = Promise.withResolvers<void>();
    setup.upstream.gate = promise;
    const asked = first.headManifest(repository, 'latest', accept, signal);
    const leaving = new AbortController();
    const waiting = second.headManifest(repository, 'latest', accept, leaving.signal);
    await new Promise((turn) => setImmediate(turn));
    leaving.abort(new AppError('CANCELLED', 'left'));
    await assert.rejects(waiting, { code: 'CANCELLED' });
    resolve();
    await setup.during(asked);
  });
});
