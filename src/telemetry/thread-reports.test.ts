import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { Clock } from '../core/clock.ts';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import { Channels } from './channels.ts';
import { RequestCounts } from './request-tally.ts';
import type { WorkerOrder } from './testing/reporting-worker.ts';
import { type ThreadInbox, ThreadReports } from './thread-reports.ts';
import type { ThreadQuestion } from './thread-telemetry.ts';

const labels = { route: 'manifest', method: 'GET', status: 200, served: 'hit' } as const;

/** The clock stands still: a thread may take as long to answer as a busy machine makes it. */
function setUp(clock: Clock = new VirtualClock()) {
  const counts = new RequestCounts(new Channels());
  let written = '';
  const log = {
    droppedLines: 0,
    writeLines(lines: string) {
      written += lines;
    },
    countDropped(lines: number) {
      this.droppedLines += lines;
    },
  };
  const reports = new ThreadReports({ clock, counts, log, loopTimes: () => ({ idle: 3000, active: 1000 }) });
  const lines = () =>
    written
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  return { counts, log, reports, lines };
}

class RealThread implements AsyncDisposable {
  readonly worker = new Worker(new URL('./testing/reporting-worker.ts', import.meta.url));
  readonly inbox: ThreadInbox;

  constructor(reports: ThreadReports, name: string) {
    this.inbox = reports.open({
      name,
      post: (question) => this.worker.postMessage(question),
      loopTimes: () => this.worker.performance.eventLoopUtilization(),
    });
    this.worker.on('message', (report) => this.inbox.receive(report));
    this.worker.on('exit', () => this.inbox[Symbol.dispose]());
  }

  do(order: WorkerOrder): void {
    this.worker.postMessage(order);
  }

  async gone(): Promise<void> {
    await once(this.worker, 'exit');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.worker.terminate();
  }
}

/** A thread as the main thread sees it, played by the test. */
function played(reports: ThreadReports, name = 'gateway-0') {
  const questions: ThreadQuestion[] = [];
  let times = { idle: 0, active: 0 };
  const inbox = reports.open({ name, post: (question) => questions.push(question), loopTimes: () => times });
  const setTimes = (idle: number, active: number) => {
    times = { idle, active };
  };
  return { inbox, questions, setTimes };
}

const empty = {
  answers: undefined,
  counts: undefined,
  lines: '',
  droppedLines: 0,
  load: { responses: 0, queuedBytes: 0 },
};

test('after a refresh all that happened in the threads is counted and written', async () => {
  const { counts, reports, lines } = setUp();
  await using one = new RealThread(reports, 'gateway-0');
  await using other = new RealThread(reports, 'gateway-1');
  one.do({ kind: 'serve', from: 0, count: 1000 });
  other.do({ kind: 'serve', from: 1000, count: 10 });
  await reports.refresh();
  assert.equal(counts.cell(labels).duration.count, 1010);
  assert.deepEqual(counts.served(), new Map([['cache', 5050]]));
  assert.deepEqual(reports.load(), { responses: 6, queuedBytes: 140 });
  const ids = lines().map(({ id }) => Number(id.slice(1)));
  assert.equal(new Set(ids).size, 1010);
  const first = ids.filter((id) => id < 1000);
  assert.deepEqual(
    first,
    first.toSorted((a, b) => a - b),
    'the order within a thread stays',
  );
  for (const { ratio } of reports.busy()) assert.ok(ratio >= 0 && ratio <= 1);
});

test('a thread that leaves has told everything; what it carried is no longer counted', async () => {
  const { counts, reports, lines } = setUp();
  await using thread = new RealThread(reports, 'gateway-0');
  thread.do({ kind: 'serve', from: 0, count: 300 });
  thread.do({ kind: 'leave' });
  await thread.gone();
  assert.equal(counts.cell(labels).duration.count, 300);
  assert.equal(lines().length, 300);
  assert.deepEqual(reports.load(), { responses: 0, queuedBytes: 0 });
  assert.deepEqual(reports.busy(), [{ thread: 'main', ratio: 0.25 }]);
});

test('a crash takes along no more than what was not told, and counts never go down', async () => {
  const { counts, reports } = setUp();
  await using thread = new RealThread(reports, 'gateway-0');
  thread.do({ kind: 'serve', from: 0, count: 300 });
  await reports.refresh();
  thread.do({ kind: 'serve', from: 300, count: 1 });
  thread.do({ kind: 'crash' });
  const refreshed = reports.refresh();
  await thread.gone();
  await refreshed;
  const count = counts.cell(labels).duration.count;
  assert.ok(count === 300 || count === 301, `${count}`);
  await using next = new RealThread(reports, 'gateway-0');
  next.do({ kind: 'serve', from: 0, count: 7 });
  await reports.refresh();
  assert.equal(counts.cell(labels).duration.count, count + 7);
});

test('an error in a thread is in the log with its code and its causes', async () => {
  const { reports, lines } = setUp();
  await using thread = new RealThread(reports, 'gateway-0');
  thread.do({ kind: 'fail' });
  await once(thread.worker, 'message');
  const [{ level, message, error }] = lines();
  assert.deepEqual([level, message], ['error', 'a request failed']);
  assert.deepEqual(error, { code: 'STORAGE_FAILED', message: 'no luck', causes: ['EIO'] });
});

test('a thread that does not answer holds up a reader for a moment only', async () => {
  const clock = new VirtualClock();
  const { reports } = setUp(clock);
  const [stuck, well] = [played(reports, 'gateway-0'), played(reports, 'gateway-1')];
  let done = false;
  const refreshed = reports.refresh().then(() => {
    done = true;
  });
  well.inbox.receive({ ...empty, answers: 1 });
  clock.advance(499);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(done, false);
  clock.advance(1);
  await refreshed;
  assert.deepEqual(stuck.questions, [{ kind: 'report', id: 1 }]);
  assert.equal(clock.pending, 0);
});

test('a thread that is gone is not waited for', async () => {
  const clock = new VirtualClock();
  const { reports } = setUp(clock);
  const thread = played(reports);
  const refreshed = reports.refresh();
  thread.inbox[Symbol.dispose]();
  await refreshed;
  await reports.refresh();
  assert.equal(clock.pending, 0);
});

test('lines are acknowledged, what was dropped is counted, and the last report of a thread that is gone still counts', () => {
  const { log, reports, lines } = setUp();
  const { inbox, questions } = played(reports);
  inbox.receive({ ...empty, lines: '{"a":1}\n', droppedLines: 3 });
  assert.deepEqual(questions, [{ kind: 'written', characters: 8 }]);
  inbox[Symbol.dispose]();
  inbox.receive({ ...empty, lines: '{"a":2}\n', droppedLines: 1 });
  assert.equal(questions.length, 1);
  assert.equal(log.droppedLines, 4);
  assert.deepEqual(lines(), [{ a: 1 }, { a: 2 }]);
});

test('how busy a thread is concerns the time since the last look, of a second at least', () => {
  const { reports } = setUp();
  const { setTimes } = played(reports);
  const ratio = () => reports.busy().find(({ thread }) => thread === 'gateway-0')?.ratio;
  assert.equal(ratio(), 0);
  setTimes(1000, 1000);
  assert.equal(ratio(), 0.5);
  setTimes(1000, 1999);
  assert.equal(ratio(), 0.5);
  setTimes(1000, 2000);
  assert.equal(ratio(), 1);
});
