import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sampleDigest } from '../testing/sample-content.ts';
import { DigestQueue } from './digest-queue.ts';

describe('works on one digest', () => {
  const digest = sampleDigest('content');

  it('run one after the other, in order, whatever became of the one before', async () => {
    const queue = new DigestQueue();
    const log: string[] = [];
    const { promise: gate, resolve: openGate } = Promise.withResolvers<void>();
    const first = queue.run(digest, async () => {
      await gate;
      log.push('first');
      throw new Error('broken');
    });
    const second = queue.run(digest, async () => void log.push('second'));
    const other = queue.run(sampleDigest('other'), async () => void log.push('other'));
    await other;
    openGate();
    await assert.rejects(first, /broken/);
    await second;
    assert.deepEqual(log, ['other', 'first', 'second']);
  });

  it('make it busy until the last one ended', async () => {
    const queue = new DigestQueue();
    const works = [queue.run(digest, async () => {}), queue.run(digest, async () => {})];
    assert.equal(queue.isBusy(digest), true);
    await Promise.all(works);
    await queue.idle();
    assert.equal(queue.isBusy(digest), false);
  });
});
