import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../core/errors.ts';
import type { FillBody } from './fill-body.ts';
import { type FlightEvent, type FlightState, isFinal, nextState } from './flight-state.ts';

const body = {} as FillBody;
const error = new AppError('INTERNAL', 'test');

const states: FlightState[] = [
  { phase: 'opening' },
  { phase: 'filling', body },
  { phase: 'verifying', body },
  { phase: 'committing', body },
  { phase: 'done', body },
  { phase: 'failed', error },
  { phase: 'parked', error },
];

const events: FlightEvent[] = [
  { type: 'opened', body },
  { type: 'found', body },
  { type: 'complete' },
  { type: 'mismatched' },
  { type: 'matched' },
  { type: 'closed' },
  { type: 'failed', error },
  { type: 'abandoned', error },
];

/** Every move there is; all other pairs are defects. */
const moves: Record<string, string> = {
  'opening opened': 'filling',
  'opening found': 'done',
  'filling complete': 'verifying',
  'filling mismatched': 'opening',
  'verifying mismatched': 'opening',
  'verifying matched': 'committing',
  'committing closed': 'done',
  'opening failed': 'failed',
  'filling failed': 'failed',
  'verifying failed': 'failed',
  'opening abandoned': 'parked',
  'filling abandoned': 'parked',
  'verifying abandoned': 'parked',
};

describe("a flight's states", () => {
  for (const state of states) {
    for (const event of events) {
      const expected = moves[`${state.phase} ${event.type}`];
      it(`${state.phase}, ${event.type}: ${expected ?? 'impossible'}`, () => {
        if (expected === undefined) assert.throws(() => nextState(state, event), /cannot be/);
        else assert.equal(nextState(state, event).phase, expected);
      });
    }
  }

  it('has three final ones', () => {
    assert.deepEqual(
      states.filter(isFinal).map(({ phase }) => phase),
      ['done', 'failed', 'parked'],
    );
  });
});
