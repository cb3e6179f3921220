import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VirtualClock } from '../../core/testing/virtual-clock.ts';
import { SyncTurn } from './sync-turn.ts';

describe('syncs that nobody waits for', () => {
  it('run one at a time, in order', async () => {
    const turn = new SyncTurn({ clock: new VirtualClock() });
    const events: string[] = [];
    for (const name of ['a', 'b']) {
      void turn.run(async () => {
        events.push(`${name} begins`);
        await new Promise(setImmediate);
        events.push(`${name} ends`);
      });
    }
    await turn.close();
    assert.deepEqual(events, ['a begins', 'a ends', 'b begins', 'b ends']);
  });

  it('at the end have a few seconds, and are told when these are over', async () => {
    const clock = new VirtualClock();
    const turn = new SyncTurn({ clock });
    const times: boolean[] = [];
    for (let work = 0; work < 4; work++) {
      void turn.run(async (isTime) => {
        times.push(isTime);
        clock.advance(3000);
      });
    }
    await turn.close();
    assert.deepEqual(times, [true, true, false, false]);
  });
});
