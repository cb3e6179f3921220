import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '../../core/testing/virtual-clock.ts';
import { Line, type LineUser } from './line.ts';

const bytesPerSecond = 10_000_000;

/** Always has more to send, unless it is told that its client stopped reading. */
class Sender implements LineUser {
  readonly #line: Line;
  sent = 0;
  isReading = true;

  constructor(line: Line) {
    this.#line = line;
  }

  turn(maxBytes: number): number {
    this.sent += maxBytes;
    if (this.isReading) this.#line.queue(this);
    return maxBytes;
  }
}

function setUp(count: number) {
  const clock = new VirtualClock();
  const line = new Line(clock, bytesPerSecond);
  const senders = Array.from({ length: count }, () => new Sender(line));
  for (const sender of senders) line.queue(sender);
  return { clock, line, senders };
}

const total = (senders: readonly Sender[]) => senders.reduce((sum, sender) => sum + sender.sent, 0);

test('all users together get the speed of the line, each the same share', () => {
  const { clock, senders } = setUp(7);
  clock.advance(1000);
  const slack = 20_000;
  assert.ok(Math.abs(total(senders) - bytesPerSecond) < slack, `${total(senders)} bytes in a second`);
  for (const { sent } of senders) assert.ok(Math.abs(sent - bytesPerSecond / 7) < slack);
});

test('what one user leaves goes to the others', () => {
  const { clock, senders } = setUp(2);
  const [first, second] = senders as [Sender, Sender];
  clock.advance(500);
  first.isReading = false;
  const before = { first: first.sent, second: second.sent };
  clock.advance(500);
  assert.ok(first.sent - before.first < 20_000);
  assert.ok(Math.abs(second.sent - before.second - bytesPerSecond / 2) < 20_000);
});

test('an idle line saves nothing up', () => {
  const clock = new VirtualClock();
  const line = new Line(clock, bytesPerSecond);
  clock.advance(60_000);
  const sender = new Sender(line);
  line.queue(sender);
  assert.ok(sender.sent <= (bytesPerSecond * 15) / 1000, `${sender.sent} bytes at once`);
});

test('a line without a limit lets everybody send at once', () => {
  const line = new Line(new VirtualClock(), Number.POSITIVE_INFINITY);
  const sender = new Sender(line);
  sender.isReading = false;
  line.queue(sender);
  assert.equal(sender.sent, 256 * 1024);
});
