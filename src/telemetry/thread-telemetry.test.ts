import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppError } from '../core/errors.ts';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import type { LogLevel } from './log.ts';
import { requestEvent } from './testing/events.ts';
import { type ThreadReport, ThreadTelemetry } from './thread-telemetry.ts';

const labels = { route: 'blob', method: 'GET', status: 200, served: 'hit' } as const;
const answer = { firstByteMs: 1, durationMs: 2, complete: true };

function setUp(level: LogLevel = 'info', access = true) {
  const clock = new VirtualClock();
  const reports: ThreadReport[] = [];
  const telemetry = new ThreadTelemetry({ clock, post: (report) => reports.push(report) }, { level, access });
  return { clock, reports, telemetry };
}

const idsIn = (reports: readonly ThreadReport[]) =>
  reports
    .flatMap(({ lines }) => lines.split('\n'))
    .filter((line) => line !== '')
    .map((line) => String(JSON.parse(line).id));

test('what was counted and written is one report, a moment later; then there is silence', () => {
  const { clock, reports, telemetry } = setUp();
  telemetry.tally.cell(labels).add(answer);
  telemetry.channels.request.publish(requestEvent);
  telemetry.tally.cell(labels).add(answer);
  clock.advance(249);
  assert.equal(reports.length, 0);
  clock.advance(1);
  assert.equal(reports.length, 1);
  assert.equal(reports[0]?.counts?.cells[0]?.duration.count, 2);
  assert.deepEqual(idsIn(reports), ['r1']);
  assert.equal(clock.pending, 0);
  clock.advance(10_000);
  assert.equal(reports.length, 1);
});

test('a warning and an error are told at once, with what came before them', () => {
  for (const level of ['warn', 'error'] as const) {
    const { clock, reports, telemetry } = setUp();
    telemetry.tally.cell(labels).add(answer);
    telemetry.channels.request.publish(requestEvent);
    telemetry.channels.notice.publish({ level: 'info', message: 'first' });
    assert.equal(reports.length, 0);
    const error = new AppError('STORAGE_FAILED', 'no luck', { cause: new Error('EIO') });
    telemetry.channels.notice.publish({ level, message: 'second', error });
    assert.equal(reports.length, 1);
    const [, first, second] = (reports[0]?.lines ?? '')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    assert.equal(first.message, 'first');
    assert.deepEqual(
      [second.level, second.error],
      [level, { code: 'STORAGE_FAILED', message: 'no luck', causes: ['EIO'] }],
    );
    assert.equal(reports[0]?.counts?.cells.length, 1);
    assert.equal(clock.pending, 0);
  }
});

test('a question is answered at once, also where there is nothing to tell', () => {
  const { clock, reports, telemetry } = setUp();
  telemetry.showLoad(() => ({ responses: 2, queuedBytes: 9 }));
  telemetry.receive({ kind: 'report', id: 7 });
  telemetry.tally.cell(labels).add(answer);
  telemetry.receive({ kind: 'report', id: 8 });
  assert.deepEqual(
    reports.map(({ answers, counts, load }) => [answers, counts?.cells.length, load.responses]),
    [
      [7, undefined, 2],
      [8, 1, 2],
    ],
  );
  assert.equal(clock.pending, 0);
});

test('its end tells the rest', () => {
  const { clock, reports, telemetry } = setUp();
  telemetry.channels.servedBytes.publish({ from: 'flight', bytes: 5 });
  telemetry[Symbol.dispose]();
  telemetry[Symbol.dispose]();
  assert.deepEqual(
    reports.map(({ counts }) => counts?.served),
    [new Map([['flight', 5]])],
  );
  assert.equal(clock.pending, 0);
});

test('lines of many requests come in batches of whole lines, in their order', () => {
  const { clock, reports, telemetry } = setUp();
  for (let index = 0; index < 4000; index++) telemetry.channels.request.publish({ ...requestEvent, id: `r${index}` });
  assert.ok(reports.length > 5, `${reports.length} reports before the time is up`);
  clock.advance(250);
  for (const { lines } of reports) {
    assert.ok(lines.endsWith('\n'));
    assert.ok(lines.length < 140_000);
  }
  assert.deepEqual(
    idsIn(reports),
    Array.from({ length: 4000 }, (_, index) => `r${index}`),
  );
});

test('lines of any length and any characters come whole, in their order', () => {
  const { clock, reports, telemetry } = setUp();
  const name = '\u00e9\u{1f433}'.repeat(200);
  const list = Array.from({ length: 50 }, () => 'x'.repeat(2000));
  const ids = Array.from({ length: 200 }, (_, index) => `\u00e4${index}`);
  for (const [index, id] of ids.entries()) {
    const fields = index % 10 === 9 ? { id, name, list } : { id, name };
    telemetry.channels.notice.publish({ level: 'info', message: 'm', fields });
  }
  clock.advance(250);
  assert.deepEqual(idsIn(reports), ids);
  for (const { lines } of reports)
    for (const line of lines.split('\n').filter(Boolean)) {
      assert.equal(JSON.parse(line).name, name);
    }
});

test('lines that nobody writes are dropped beyond the bound, and counted, until room is made', () => {
  const { clock, reports, telemetry } = setUp();
  const line = { ...requestEvent, userAgent: 'x'.repeat(900) };
  const publish = (count: number) => {
    for (let index = 0; index < count; index++) telemetry.channels.request.publish(line);
    clock.advance(250);
  };
  publish(10_000);
  const characters = reports.reduce((sum, { lines }) => sum + lines.length, 0);
  const dropped = () => reports.reduce((sum, { droppedLines }) => sum + droppedLines, 0);
  assert.ok(characters <= 4 * 1024 * 1024 && characters > 4 * 1024 * 1024 - 2000, `${characters} characters`);
  assert.equal(idsIn(reports).length + dropped(), 10_000);
  const before = dropped();
  telemetry.receive({ kind: 'written', characters });
  publish(100);
  assert.equal(dropped(), before);
  assert.equal(idsIn(reports).length, 10_000 - before + 100);
});

test('what is not to be logged is not put together', () => {
  assert.equal(setUp('info', false).telemetry.channels.request.isHeard, false);
  const { clock, reports, telemetry } = setUp('error');
  telemetry.channels.notice.publish({ level: 'warn', message: 'x' });
  telemetry.channels.request.publish(requestEvent);
  clock.advance(1000);
  assert.deepEqual(reports, []);
});
