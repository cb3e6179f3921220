import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { digestOf } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import { parseReference } from '../../core/reference.ts';
import type { SharedUse } from '../../core/shared-use.ts';
import { VirtualClock } from '../../core/testing/virtual-clock.ts';
import type { BlobAnswer, BlobRequest, HitNote, ManifestRequest } from '../../pull/depot.ts';
import { TestContent } from '../testing/test-content.ts';
import { testNames } from '../testing/test-depot.ts';
import { HitDepot, hitDepotDefaults } from './hit-depot.ts';
import { LeasingDepot } from './testing/leasing-depot.ts';

const { signal } = new AbortController();
const bytes = Buffer.from('{"schemaVersion":2}');
const failure = new AppError('STORAGE_FAILED', 'cannot read');

/** Those who read a small blob to keep it in memory are among its users for as long as that takes. */
async function usersOf(use: SharedUse, users: number): Promise<void> {
  while (use.users !== users) await new Promise((resolve) => setImmediate(resolve));
}

class Setup implements Disposable {
  readonly clock = new VirtualClock();
  readonly depot = new LeasingDepot();
  readonly notes: (readonly HitNote[])[] = [];
  readonly hits: HitDepot;
  readonly blob: TestContent;

  constructor(options: Partial<typeof hitDepotDefaults> = {}) {
    const { clock, depot } = this;
    depot.keepUntilMs = clock.now() + 60_000;
    depot.addManifest('a', 'v1', bytes, 'application/json');
    this.blob = depot.add(new TestContent(Buffer.from('some bytes')));
    const log = { noteHits: (notes: readonly HitNote[]) => void this.notes.push(notes) };
    const { changes } = depot;
    this.hits = new HitDepot({ depot, changes, log, clock }, { ...hitDepotDefaults, ...options, gateway: 3 });
  }

  manifest(text: string, more: Partial<ManifestRequest> = {}) {
    const reference = parseReference(text);
    assert.ok(reference);
    const scope = testNames.resolve(undefined, 'a');
    return this.hits.manifest({ scope, reference, accept: undefined, method: 'GET', client: 'c', ...more }, signal);
  }

  ask(more: Partial<BlobRequest> = {}): Promise<BlobAnswer> {
    const scope = testNames.resolve(undefined, 'a');
    const { digest } = this.blob;
    return this.hits.blob({ scope, digest, method: 'GET', range: undefined, client: 'c', ...more }, signal);
  }

  async body(more: Partial<BlobRequest> = {}) {
    const answer = await this.ask(more);
    assert.equal(answer.kind, 'body');
    return answer.kind === 'body' ? answer.body : assert.fail();
  }

  /** Asks once, so that there is a lease. */
  async leased() {
    (await this.body()).close();
    const last = this.depot.leases.at(-1);
    assert.ok(last);
    return last;
  }

  get manifestsAsked(): number {
    return this.depot.manifestRequests.length;
  }

  get blobsAsked(): number {
    return this.depot.blobRequests.length;
  }

  [Symbol.dispose](): void {
    this.hits[Symbol.dispose]();
    assert.equal(this.clock.pending, 0);
    for (const { use } of this.depot.leases) assert.equal(use.users, 0, 'a use was not left');
    for (const content of this.depot.contents.values()) {
      assert.ok(
        content.closes.every((closes) => closes === 1),
        `bodies closed ${content.closes} times`,
      );
      content[Symbol.dispose]();
    }
  }
}

describe('a manifest that may be given again', () => {
  it('is, as a hit, with GET and with HEAD', async () => {
    using setup = new Setup();
    setup.depot.served = 'led';
    assert.equal((await setup.manifest('v1')).served, 'led');
    for (const method of ['GET', 'HEAD'] as const) {
      const again = await setup.manifest('v1', { method });
      assert.deepEqual([again.served, again.digest, again.sizeBytes], ['hit', digestOf(bytes), bytes.length]);
    }
    assert.equal(setup.manifestsAsked, 1);
  });

  it('is asked for with its bytes where only HEAD has asked', async () => {
    using setup = new Setup();
    await setup.manifest('v1', { method: 'HEAD' });
    await setup.manifest('v1', { method: 'HEAD' });
    assert.equal(setup.manifestsAsked, 1);
    assert.ok((await setup.manifest('v1')).bytes);
    await setup.manifest('v1');
    assert.equal(setup.manifestsAsked, 2);
  });

  it('is by a tag for one Accept, by a digest for all', async () => {
    using setup = new Setup();
    for (const accept of ['a/b', 'a/b', 'c/d', undefined]) await setup.manifest('v1', { accept });
    assert.equal(setup.manifestsAsked, 3);
    for (const accept of ['a/b', 'c/d', undefined]) await setup.manifest(digestOf(bytes), { accept });
    assert.equal(setup.manifestsAsked, 4);
  });

  it('is not in another scope (P9)', async () => {
    using setup = new Setup();
    await setup.manifest(digestOf(bytes));
    for (const scope of [
      testNames.resolve(undefined, 'b'),
      testNames.resolve('ghcr.io', 'b'),
      { ...testNames.resolve(undefined, 'b'), identity: 'somebody' },
    ]) {
      await assert.rejects(setup.manifest(digestOf(bytes), { scope }), { code: 'MANIFEST_UNKNOWN' });
    }
    assert.equal(setup.manifestsAsked, 4);
  });

  it('is not when something has changed since before it was looked for', async () => {
    using setup = new Setup();
    const { depot } = setup;
    const manifest = depot.manifest.bind(depot);
    depot.manifest = async (request, aborted) => {
      const answer = await manifest(request, aborted);
      depot.changes.bump();
      return answer;
    };
    await setup.manifest('v1');
    await setup.manifest('v1');
    assert.equal(setup.manifestsAsked, 2);
  });

  it('is not after its time', async () => {
    using setup = new Setup();
    await setup.manifest('v1');
    setup.clock.advance(59_999);
    await setup.manifest('v1');
    assert.equal(setup.manifestsAsked, 1);
    setup.clock.advance(1);
    await setup.manifest('v1');
    assert.equal(setup.manifestsAsked, 2);
  });

  it('is not after its time although the clock was set back, nor where it was set forward', async () => {
    using setup = new Setup();
    const { clock, depot } = setup;
    const ask = async () => {
      await setup.manifest('v1');
      await setup.ask({ method: 'HEAD' });
      (await setup.body()).close();
      return [setup.manifestsAsked, setup.blobsAsked];
    };
    await ask();
    clock.setBy(-3_600_000);
    clock.advance(59_999);
    assert.deepEqual(await ask(), [1, 2]);
    depot.keepUntilMs = clock.now() + 60_001;
    clock.advance(1);
    assert.deepEqual(await ask(), [2, 4]);
    clock.setBy(60_000);
    assert.deepEqual(await ask(), [3, 6]);
  });

  it('is remembered within the bounds, what was used longest ago going first', async () => {
    using setup = new Setup({ maxEntries: 2 });
    setup.depot.addManifest('a', 'v2', bytes, 'application/json');
    for (const tag of ['v1', 'v2', 'v1', digestOf(bytes), 'v1']) await setup.manifest(tag);
    assert.equal(setup.manifestsAsked, 3);
    await setup.manifest('v2');
    assert.equal(setup.manifestsAsked, 4);
    assert.equal(setup.hits.load.manifests, 2);
  });

  it('is not remembered where it alone is more than memory allows', async () => {
    using setup = new Setup({ maxBytes: 10_000 });
    setup.depot.addManifest('a', 'large', Buffer.alloc(9_000, ' '), 'application/json');
    for (let round = 0; round < 2; round++) await setup.manifest('large');
    assert.equal(setup.manifestsAsked, 2);
    assert.ok(setup.hits.load.manifestBytes <= 10_000);
  });
});

describe('hits', () => {
  it('are told at once, and then about once a second together, each kind with its number', async () => {
    using setup = new Setup();
    const told = () => setup.notes.splice(0).map((notes) => notes.map((note) => `${note.method} ${note.count}`));
    for (const method of ['GET', 'GET'] as const) await setup.manifest('v1', { method });
    assert.deepEqual(told(), [['GET 1']]);
    for (const method of ['GET', 'GET', 'HEAD'] as const) await setup.manifest('v1', { method });
    (await setup.body()).close();
    (await setup.body()).close();
    setup.clock.advance(999);
    assert.deepEqual(told(), []);
    setup.clock.advance(1);
    assert.deepEqual(told(), [['GET 2', 'HEAD 1', 'GET 1']]);
    setup.clock.advance(10_000);
    assert.equal(setup.clock.pending, 0);
    await setup.manifest('v1');
    assert.deepEqual(told(), [['GET 1']]);
  });

  it('are told at the end', async () => {
    const setup = new Setup();
    for (let round = 0; round < 4; round++) await setup.manifest('v1');
    setup[Symbol.dispose]();
    assert.deepEqual(
      setup.notes.flat().map(({ count }) => count),
      [1, 2],
    );
  });
});

describe('a leased blob', () => {
  it('is served without asking, whole and in parts, and its use is left with each close', async () => {
    using setup = new Setup();
    const { lease, use } = await setup.leased();
    assert.equal(setup.depot.blobRequests[0]?.gateway, 3);
    const body = await setup.body();
    assert.equal(use.users, 1);
    assert.deepEqual([body.start, body.end, body.readableTo(0)], [0, 10, 10]);
    assert.deepEqual(body.storage, { kind: 'file', fd: lease.fd, fileId: lease.fileId, sizeBytes: 10 });
    assert.equal(await body.whenReadable(3, signal), 10);
    const part = await setup.body({ range: 'bytes=2-4' });
    assert.deepEqual([part.start, part.end, part.readableTo(2)], [2, 5, 5]);
    await usersOf(use, 2);
    for (const view of [body, body, part]) view.close();
    assert.equal(use.users, 0);
    assert.equal(setup.blobsAsked, 1);
  });

  it('answers HEAD and a range after the end without a use', async () => {
    using setup = new Setup();
    const { use } = await setup.leased();
    assert.deepEqual(await setup.ask({ method: 'HEAD' }), { kind: 'head', sizeBytes: 10, served: 'hit' });
    assert.deepEqual(await setup.ask({ range: 'bytes=10-' }), { kind: 'unsatisfiable', sizeBytes: 10 });
    assert.equal(use.users, 0);
    assert.equal(setup.blobsAsked, 1);
  });

  it('that only HEAD asked for is described without asking, in its scope, its time, and until a change', async () => {
    using setup = new Setup();
    const head = { method: 'HEAD' } as const;
    for (let round = 0; round < 3; round++) {
      const answer = await setup.ask(head);
      assert.equal(answer.kind === 'head' && answer.sizeBytes, 10);
    }
    assert.equal(setup.blobsAsked, 1);
    await setup.ask({ ...head, scope: testNames.resolve(undefined, 'b') });
    setup.depot.changes.bump();
    await setup.ask(head);
    setup.clock.advance(60_000);
    await setup.ask(head);
    assert.equal(setup.blobsAsked, 4);
  });

  it('is asked for anew when it was taken back', async () => {
    using setup = new Setup();
    const { use } = await setup.leased();
    assert.equal(use.takeBack(), true);
    (await setup.body()).close();
    assert.equal(setup.blobsAsked, 2);
    assert.equal(use.isTakenBack, true);
  });

  it('is not taken back while it is served', async () => {
    using setup = new Setup();
    const { use } = await setup.leased();
    const body = await setup.body();
    assert.equal(use.takeBack(), false);
    body.close();
    assert.equal(use.takeBack(), true);
    use.forget();
  });

  it('is asked for anew after a change or its time, and nothing stays entered', async () => {
    using setup = new Setup();
    await setup.leased();
    setup.depot.changes.bump();
    (await setup.body()).close();
    assert.equal(setup.blobsAsked, 2);
    setup.clock.advance(60_000);
    for (const method of ['HEAD', 'GET'] as const) {
      const answer = await setup.ask({ method });
      if (answer.kind === 'body') answer.body.close();
    }
    assert.equal(setup.blobsAsked, 4);
  });

  it('is not served to another repository (P9)', async () => {
    using setup = new Setup();
    await setup.leased();
    (await setup.body({ scope: testNames.resolve(undefined, 'b') })).close();
    assert.equal(setup.blobsAsked, 2);
  });

  it('that cannot be read goes on in a body of the same file that the depot has, and is asked for from then on', async () => {
    using setup = new Setup();
    const { lease, use } = await setup.leased();
    setup.depot.keepUntilMs = undefined;
    const [whole, part] = [await setup.body(), await setup.body({ range: 'bytes=2-' })];
    await usersOf(use, 2);
    let users: number | undefined;
    const ended = Promise.withResolvers<void>();
    setup.blob.whenUnreadable = () => {
      users = use.users;
      return ended.promise;
    };
    const going = whole.unreadable(4, failure, signal);
    while (users === undefined) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(users, 1, 'the depot holds the file from then on');
    ended.resolve();
    await going;
    await part.unreadable(2, failure, signal);
    assert.equal(use.users, 0);
    assert.deepEqual(
      setup.depot.blobRequests.slice(-2).map(({ leased, range }) => [leased, range]),
      [
        [lease.fileId, undefined],
        [lease.fileId, 'bytes=2-'],
      ],
    );
    assert.equal(await whole.whenReadable(4, signal), 10);
    assert.deepEqual([part.start, part.readableTo(2)], [2, 10]);
    for (const body of [whole, part]) body.close();
    (await setup.body()).close();
    assert.equal(setup.depot.blobRequests.at(-1)?.leased, undefined);
    assert.equal(setup.blobsAsked, 4);
  });

  it('that cannot be read a second time goes on there, too', async () => {
    using setup = new Setup();
    await setup.leased();
    const body = await setup.body();
    let healed = 0;
    setup.blob.whenUnreadable = () => void healed++;
    await body.unreadable(0, failure, signal);
    await body.unreadable(5, failure, signal);
    assert.deepEqual([healed, setup.blobsAsked], [2, 2]);
    body.close();
  });

  it('asks nothing of the body that takes over before something is readable there', async () => {
    using setup = new Setup();
    await setup.leased();
    const body = await setup.body();
    setup.blob.whenUnreadable = () => {};
    const blob = setup.depot.blob.bind(setup.depot);
    setup.depot.blob = async (request, aborted) => {
      const answer = await blob(request, aborted);
      if (answer.kind !== 'body') return answer;
      const storage = { get: () => assert.fail('nothing is readable yet') };
      return { ...answer, body: Object.create(answer.body, { storage }) as typeof answer.body };
    };
    await body.unreadable(0, failure, signal);
    body.close();
  });

  it('that cannot be read fails as the depot fails', async () => {
    using setup = new Setup();
    const { use } = await setup.leased();
    const [refused, unhealed] = [await setup.body(), await setup.body()];
    await assert.rejects(unhealed.unreadable(3, failure, signal), failure);
    setup.depot.blob = async () => Promise.reject(new AppError('BLOB_UNKNOWN', 'gone'));
    await assert.rejects(refused.unreadable(0, failure, signal), { code: 'BLOB_UNKNOWN' });
    for (const body of [refused, unhealed]) body.close();
    await usersOf(use, 0);
  });

  it('whose client leaves while the depot is asked holds nothing', async () => {
    using setup = new Setup();
    const { use } = await setup.leased();
    const body = await setup.body();
    const going = body.unreadable(0, failure, signal);
    body.close();
    setup.blob.whenUnreadable = () => {};
    await assert.rejects(going, { code: 'CANCELLED' });
    assert.equal(use.users, 0);
  });
});

describe('small blobs in memory', () => {
  it('are within the bound, heads and all, and what was used longest ago goes first', async () => {
    using setup = new Setup({ maxBytes: 250_000 });
    const contents = Array.from({ length: 6 }, (_, n) =>
      setup.depot.add(new TestContent(Buffer.alloc(30_000, `${n}`))),
    );
    const scope = testNames.resolve(undefined, 'a');
    const isKept = ({ digest }: TestContent) =>
      setup.hits.knownBlob(setup.hits.blobKey(scope, digest), digest, 'GET') !== undefined;
    for (const content of contents) {
      for (let round = 0; round < 3; round++) (await setup.body({ digest: content.digest })).close();
      for (const { use } of setup.depot.leases) await usersOf(use, 0);
      assert.ok(isKept(content));
    }
    const { blobBytes, preparedBytes } = setup.hits.load;
    assert.ok(blobBytes >= 60_000 && blobBytes <= preparedBytes && preparedBytes <= 125_000, `${blobBytes}`);
    assert.deepEqual(
      [contents[0], contents[5]].map((content) => content && isKept(content)),
      [false, true],
    );
  });
});
