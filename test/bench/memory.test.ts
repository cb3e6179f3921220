import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { MemorySample } from '../../bench/memory/measure-memory.ts';
import { quickRun } from '../../bench/memory/parameters.ts';
import { memoryChart, memoryReport } from '../../bench/memory/report.ts';
import { runMemory } from '../../bench/memory/run.ts';
import { SlowReaders } from '../../bench/memory/slow-readers.ts';
import { summarise } from '../../bench/memory/summary.ts';
import { judge } from '../../bench/memory/targets.ts';
import { describeMachine } from '../../bench/support/machine.ts';

const mebi = 2 ** 20;

function sample(told: Partial<MemorySample>): MemorySample {
  return {
    round: 1,
    subject: 'onepull',
    slowReaders: 0,
    startBytes: 100 * mebi,
    peakBytes: 200 * mebi,
    tcpBytes: 10 * mebi,
    coldBytesPerSecond: 300e6,
    warmBytesPerSecond: 1000e6,
    slowBytesPerSecond: (told.slowReaders ?? 0) * 30_000,
    answered: told.slowReaders ?? 0,
    failed: 0,
    errors: [],
    bodies: 1,
    cpu: { subjectMs: 100, wallMs: 200 },
    ...told,
  };
}

test('a fast reader is compared with itself without slow readers, of the same cache and round', () => {
  const rows = summarise([
    sample({ slowReaders: 600, warmBytesPerSecond: 800e6, peakBytes: 250 * mebi }),
    sample({}),
    sample({ round: 2, warmBytesPerSecond: 500e6 }),
    sample({ round: 2, slowReaders: 600, warmBytesPerSecond: 500e6, peakBytes: 310 * mebi }),
    sample({ subject: 'distribution', warmBytesPerSecond: 100e6 }),
  ]);
  assert.deepEqual(
    rows.map(({ subject, slowReaders }) => [subject, slowReaders]),
    [
      ['onepull', 0],
      ['onepull', 600],
      ['distribution', 0],
    ],
  );
  assert.deepEqual(rows[1]?.warmRatio, { median: 0.9, min: 0.8, max: 1 });
  assert.equal(rows[1]?.peakBytes.max, 310 * mebi);
});

test('the bound that holds is that of as many readers or more; rates, failures and hunger count too', () => {
  const met = (told: Partial<MemorySample>) =>
    judge(summarise([sample({}), sample({ slowReaders: 600, ...told })]), 30_000).map((verdict) => verdict.met);
  assert.deepEqual(met({}), [true, true, true, true]);
  assert.deepEqual(met({ peakBytes: 301 * mebi }), [false, true, true, true]);
  assert.deepEqual(met({ peakBytes: 301 * mebi, slowReaders: 2000 }), [true, true, true, true]);
  assert.deepEqual(met({ coldBytesPerSecond: 200e6 }), [true, false, true, true]);
  assert.deepEqual(met({ warmBytesPerSecond: 790e6 }), [true, true, false, true]);
  assert.deepEqual(met({ failed: 1 }), [true, true, true, false]);
  assert.deepEqual(met({ slowBytesPerSecond: 1e6 }), [true, true, true, false]);
});

test('slow readers take what they are told and no more, and tell who was cut', async () => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket.on('error', () => {}));
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    const more = () => {
      while (socket.writable && socket.write(Buffer.alloc(64 * 1024)));
    };
    socket.on('drain', more);
    more();
  });
  await once(server.listen({ port: 0, host: '127.0.0.1' }), 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const readers = new SlowReaders({ origin, path: '/', readers: 10, bytesPerSecond: 32 * 1024 });
  try {
    const until = async (isDone: () => boolean) => {
      while (!isDone()) await delay(5);
    };
    await until(() => readers.state().answered === 10);
    const [from, before] = [performance.now(), readers.state().bytes];
    await until(() => readers.state().bytes >= before + 10 * 32 * 1024);
    assert.ok(performance.now() - from > 700, 'a second each, less what was owed');
    sockets[0]?.resetAndDestroy();
    await until(() => readers.state().failed === 1);
    assert.match(readers.state().errors.join(), /closed|ECONNRESET/);
  } finally {
    readers[Symbol.dispose]();
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});

test('a small run has every reader answered, and is written as a report and a chart', async () => {
  const parameters = { ...quickRun, slowReaders: [20], peerSlowReaders: [], blobBytes: 4 * mebi, warmMs: 200 };
  const { samples, subjects, absent } = await runMemory(parameters, () => {});
  const rows = summarise(samples);
  assert.deepEqual(
    rows.map(({ slowReaders, failed }) => [slowReaders, failed]),
    [
      [0, 0],
      [20, 0],
    ],
  );
  for (const { peakBytes, coldBytesPerSecond } of rows) assert.ok(peakBytes.min > mebi && coldBytesPerSecond.min > 0);
  const titles = new Map(subjects.map(({ name, title }) => [name, title]));
  const verdicts = judge(rows, parameters.slowBytesPerSecond);
  const machine = describeMachine('test');
  const network = { mtu: 1500, absent: undefined, bounds: undefined };
  const report = memoryReport({ machine, parameters, network, titles, absent, descriptors: 1000, rows, verdicts });
  assert.doesNotMatch(report, /NaN|undefined/);
  assert.doesNotMatch(memoryChart(rows, titles, ['a note']), /NaN|undefined/);
});
