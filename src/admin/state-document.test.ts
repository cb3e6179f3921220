import assert from 'node:assert/strict';
import { test } from 'node:test';
import { busyState, flight as flightFrom } from '../../test/web/states.ts';
import { stateDocument } from './state-document.ts';

test('of two transfers with one id the one in progress is shown, and of two that ended the later', () => {
  const flight = (name: string, state: 'pulling' | 'done' | 'failed') =>
    flightFrom(name, 'a.example/app', { state, startedAtMs: 1000 });
  const running = flight('a', 'pulling');
  const [second, first] = [flight('b', 'done'), flight('b', 'failed')];
  const flights = [running, flight('a', 'failed'), second, first];
  const shown = Object.values(stateDocument({ ...busyState(), flights }).flights);
  assert.deepEqual(
    shown.map(({ digest, state }) => [digest, state]),
    [
      [running.digest, 'pulling'],
      [second.digest, 'done'],
    ],
  );
});
