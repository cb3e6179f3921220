import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../../core/errors.ts';
import type { HitNote } from '../../pull/depot.ts';
import { bodyOf, depotOf, digest, HandBody, line, never, request, scope } from '../testing/depot-line.ts';
import { TestDepot } from '../testing/test-depot.ts';

describe('the depot, from another thread', () => {
  it('answers as itself, and its bytes are copies of these alone', async () => {
    const depot = new TestDepot();
    const slab = Buffer.alloc(8192, 'x');
    depot.addManifest('library/a', 'latest', slab.subarray(100, 300), 'application/json');
    depot.names = ['a', 'b', 'c'];
    using it = line(depot);
    const tag = { kind: 'tag', tag: 'latest' as never } as const;
    const answer = await it.client.manifest({ ...request, reference: tag, accept: undefined }, never);
    assert.equal(answer.bytes?.buffer.byteLength, 200);
    assert.deepEqual(Buffer.from(answer.bytes), slab.subarray(100, 300));
    assert.deepEqual(await it.client.repositories('a', 1), { names: ['b'], more: true });
    const list = await it.client.tags({ scope, query: '' }, never);
    assert.equal(Buffer.from(list.body).toString(), '{"name":"a","tags":["x"]}');
    assert.deepEqual(it.host.held, { calls: 0, bodies: 0 });
  });

  it('fails with the same error: code, status, details, rest, and its cause in words', async () => {
    const depot = new TestDepot();
    depot.tags = async () => {
      throw new AppError('UPSTREAM_FAILED', 'it said 507', {
        status: 507,
        details: { upstream: 'x' },
        retryAfterMs: 1500,
        cause: new Error('deep down'),
      });
    };
    using it = line(depot);
    await assert.rejects(it.client.tags({ scope, query: '' }, never), (error) => {
      assert(error instanceof AppError);
      const { code, message, status, ociCode, details, retryAfterMs, cause } = error;
      assert.deepEqual(
        { code, message, status, ociCode, details, retryAfterMs, cause: (cause as Error).message },
        {
          code: 'UPSTREAM_FAILED',
          message: 'it said 507',
          status: 507,
          ociCode: 'UNAVAILABLE',
          details: { upstream: 'x' },
          retryAfterMs: 1500,
          cause: 'deep down',
        },
      );
      return true;
    });
  });

  it('hears of an abort, whose caller is told at once', async () => {
    const depot = new TestDepot();
    const heard = Promise.withResolvers<unknown>();
    depot.tags = (_request, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          heard.resolve(signal.reason);
          reject(signal.reason);
        });
      });
    using it = line(depot);
    const controller = new AbortController();
    const asked = it.client.tags({ scope, query: '' }, controller.signal);
    await it.settled();
    const reason = new AppError('HEADER_TIMEOUT', 'too late');
    controller.abort(reason);
    await assert.rejects(asked, (error) => error === reason);
    assert.equal(((await heard.promise) as AppError).code, 'HEADER_TIMEOUT');
    await it.settled();
    assert.deepEqual(it.host.held, { calls: 0, bodies: 0 });
  });

  it('closes a body that comes when nobody waits any more, on whichever side it is then', async () => {
    for (const answeredFirst of [true, false]) {
      const body = new HandBody();
      const depot = depotOf(body);
      const gate = Promise.withResolvers<void>();
      const blob = depot.blob;
      depot.blob = async (...args) => {
        await gate.promise;
        return blob(...args);
      };
      using it = line(depot);
      const controller = new AbortController();
      const asked = it.client.blob(request, controller.signal);
      await it.settled();
      if (answeredFirst) gate.resolve();
      // The answer, where there is one, is on its way in this turn's microtasks.
      await Promise.resolve();
      controller.abort(new AppError('CANCELLED', 'left'));
      await assert.rejects(asked, { code: 'CANCELLED' });
      await it.settled();
      gate.resolve();
      await it.settled();
      assert.equal(body.closed, 1, `answered first: ${answeredFirst}`);
      assert.deepEqual(it.host.held, { calls: 0, bodies: 0 });
    }
  });

  it('lets go of all that a gateway held when that is gone: pending calls, open bodies, answers that come late', async () => {
    const body = new HandBody();
    const depot = depotOf(body);
    using it = line(depot);
    await bodyOf(it.client);
    const late = new HandBody();
    const gate = Promise.withResolvers<void>();
    let aborted = false;
    depot.blob = async (_request, signal) => {
      signal.addEventListener('abort', () => {
        aborted = true;
      });
      await gate.promise;
      return { kind: 'body', sizeBytes: 1, part: undefined, body: late, served: 'hit' };
    };
    void it.client.blob(request, never).catch(() => {});
    await it.settled();
    assert.deepEqual(it.host.held, { calls: 1, bodies: 1 });
    it.host[Symbol.dispose]();
    assert.ok(aborted);
    assert.equal(body.closed, 1);
    gate.resolve();
    await it.settled();
    assert.equal(late.closed, 1);
    assert.deepEqual(it.host.held, { calls: 0, bodies: 0 });
  });

  it('hears of hits', async () => {
    using it = line(new TestDepot());
    const note: HitNote = { scope, digest, method: 'GET', reference: undefined, count: 3 };
    it.client.noteHits([note]);
    await it.settled();
    assert.deepEqual(it.told, [note]);
  });
});
