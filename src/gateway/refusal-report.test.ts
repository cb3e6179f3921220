import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import { Channels, type NoticeEvent, type RefusedEvent } from '../telemetry/channels.ts';
import { RefusalReport } from './refusal-report.ts';

function setUp() {
  const [channels, clock] = [new Channels(), new VirtualClock()];
  const notices: NoticeEvent[] = [];
  const refused: RefusedEvent[] = [];
  channels.notice.subscribe((event) => notices.push(event));
  channels.refused.subscribe((event) => refused.push(event));
  return { clock, notices, refused, report: new RefusalReport({ channels, clock }) };
}

test('each refusal is counted; the log is told when they begin and when they are over', () => {
  const { clock, notices, refused, report } = setUp();
  for (let second = 0; second < 30; second++) {
    report.refused('responses', 5);
    clock.advance(1_000);
  }
  assert.equal(refused.length, 30);
  assert.deepEqual(
    notices.map(({ level, fields }) => [level, fields]),
    [['warn', { event: 'overloaded', bound: 'responses', limit: 5 }]],
  );
  clock.advance(8_999);
  assert.equal(notices.length, 1);
  clock.advance(1);
  assert.deepEqual(notices[1]?.fields, { event: 'overload-over', bound: 'responses', refused: 30, durationMs: 29_000 });
  assert.equal(clock.pending, 0);
});

test('a bound that is reached again later is told again, and bounds are told apart', () => {
  const { clock, notices, report } = setUp();
  report.refused('responses', 5);
  report.refused('connections', 9);
  clock.advance(60_000);
  report.refused('responses', 5);
  assert.deepEqual(
    notices.map(({ fields }) => `${fields?.event} ${fields?.bound}`),
    [
      'overloaded responses',
      'overloaded connections',
      'overload-over responses',
      'overload-over connections',
      'overloaded responses',
    ],
  );
  report[Symbol.dispose]();
  assert.equal(clock.pending, 0);
});
