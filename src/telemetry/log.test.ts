import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino, stdTimeFunctions } from 'pino';
import { AppError } from '../core/errors.ts';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import { Channels } from './channels.ts';
import { Log, type LogLevel } from './log.ts';
import { pathForLog } from './request-lines.ts';
import { flightEvent as flight, requestEvent as request } from './testing/events.ts';

type Line = Readonly<Record<string, unknown>>;

function recorder(
  level: LogLevel = 'info',
  access = true,
): { channels: Channels; clock: VirtualClock; lines: () => Line[]; text: () => string } {
  const channels = new Channels();
  const clock = new VirtualClock();
  let written = '';
  new Log({ channels, clock }, { level, access, stream: { write: (line) => (written += line) } });
  const lines = () =>
    written
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  return { channels, clock, lines, text: () => written };
}

test('a request is one line with all that an operator asks for', () => {
  const { channels, lines } = recorder();
  channels.request.publish(request);
  const [{ time, ...line } = {}] = lines();
  assert.match(String(time), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.deepEqual(line, {
    level: 'info',
    event: 'request',
    id: 'r1',
    client: '10.0.0.9',
    method: 'GET',
    path: '/v2/library/alpine/manifests/latest?ns=docker.io',
    registry: 'docker.io',
    repository: 'library/alpine',
    reference: 'latest',
    status: 200,
    served: 'hit',
    bytes: 512,
    complete: true,
    firstByteMs: 1.2,
    durationMs: 2.3,
    userAgent: 'containerd/2.1',
  });
});

test('the access log can be switched off', () => {
  const { channels, lines } = recorder('info', false);
  channels.request.publish(request);
  assert.deepEqual(lines(), []);
});

test("a client's text is bounded and stays on its line", () => {
  const { channels, lines, text } = recorder();
  channels.request.publish({ ...request, userAgent: `a\n{"event":"forged"}\u001b[2J${'x'.repeat(9000)}` });
  assert.equal(lines().length, 1);
  assert(text().length < 3000);
  assert(!text().includes('\u001b'));
});

test('a line of a request has the form of all others, whatever a client sent', () => {
  const { channels, text } = recorder();
  const userAgent = 'a "quote" \\ \u2028 \ud800 \u00e9 \u{1f433} \u007f\t';
  channels.request.publish({ ...request, userAgent, errorCode: 'BLOB_UNKNOWN', firstByteMs: undefined });
  const { level: _level, time: _time, ...fields } = JSON.parse(text());
  let byPino = '';
  const stream = {
    write(line: string) {
      byPino += line;
    },
  };
  const options = {
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (level: string) => ({ level }) },
  };
  pino(options, stream).info({ ...fields, userAgent });
  const withoutTime = (line: string) => line.replace(/"time":"[^"]*"/, '');
  assert.equal(withoutTime(text()), withoutTime(byPino));
});

test('a path keeps no query but ns', () => {
  assert.equal(pathForLog('/v2/'), '/v2/');
  assert.equal(pathForLog('/v2/x?ns=docker.io'), '/v2/x?ns=docker.io');
  assert.equal(pathForLog('/v2/x?ns=docker.io:5000&ns=u'), '/v2/x?ns=docker.io%3A5000');
  assert.equal(pathForLog('/v2/x?sns=secret'), '/v2/x');
  assert.equal(pathForLog('/v2/x/blobs/y?sig=1'), '/v2/x/blobs/y');
  assert.equal(pathForLog('/v2/x?a=1&ns=ghcr.io&b=2'), '/v2/x?ns=ghcr.io');
  assert.equal(pathForLog('/v2/x?ns=a%0Ab'), '/v2/x?ns=a%0Ab');
  assert.equal(pathForLog('/v2/x?ns=user:hunter2@ghcr.io'), '/v2/x?ns=ghcr.io');
});

test('fields of a notice override its event', () => {
  const { channels, lines } = recorder();
  channels.notice.publish({
    level: 'info',
    message: 'ready',
    fields: { event: 'listening', listen: '127.0.0.1:5000' },
  });
  channels.notice.publish({ level: 'warn', message: 'hm' });
  assert.deepEqual(
    lines().map(({ level, event, message, listen }) => ({ level, event, message, listen })),
    [
      { level: 'info', event: 'listening', message: 'ready', listen: '127.0.0.1:5000' },
      { level: 'warn', event: 'notice', message: 'hm', listen: undefined },
    ],
  );
});

test('a known error has code, message and causes and no stack', () => {
  const { channels, lines } = recorder();
  const cause = new Error('read failed', { cause: new Error('ECONNRESET') });
  channels.notice.publish({
    level: 'error',
    message: 'x',
    error: new AppError('UPSTREAM_FAILED', 'no luck', { cause }),
  });
  assert.deepEqual(lines()[0]?.error, {
    code: 'UPSTREAM_FAILED',
    message: 'no luck',
    causes: ['read failed', 'ECONNRESET'],
  });
});

test('an error that nobody foresaw shows where it came from', () => {
  const { channels, text } = recorder();
  channels.notice.publish({ level: 'error', message: 'x', error: new TypeError('boom') });
  assert.match(text(), /"code":"INTERNAL"/);
  assert.match(text(), /log\.test\.ts/);
});

test('a chain of causes that bites its tail ends', () => {
  const { channels, lines } = recorder();
  const error = new Error('loop');
  error.cause = error;
  channels.notice.publish({ level: 'error', message: 'x', error: new AppError('INTERNAL', 'm', { cause: error }) });
  assert.equal(lines().length, 1);
});

test('no credential reaches a line', () => {
  const { channels, text } = recorder();
  const url = 'https://user:hunter2@cdn.example/x?Signature=hunter2#hunter2';
  channels.notice.publish({
    level: 'warn',
    message: `redirected to ${url}, Authorization: Bearer hunter2hunter2hunter2`,
    error: new AppError('UPSTREAM_FAILED', `at ${url}`, { cause: new Error(url) }),
    fields: { password: 'hunter2', nested: { apiToken: 'hunter2', list: [url] }, credentials: 'hunter2' },
  });
  channels.flight.publish({ ...flight, event: 'failed', message: `gave up on ${url}` });
  channels.request.publish(request);
  assert.doesNotMatch(text(), /hunter2/);
  assert.match(text(), /https:\/\/cdn\.example\/x/);
});

test('the ends of flights are info, their inner life is debug', () => {
  const quiet = recorder('info');
  const chatty = recorder('debug');
  const events = ['started', 'range-opened', 'source-failed', 'done', 'passed', 'failed', 'parked'] as const;
  for (const event of events) {
    quiet.channels.flight.publish({ ...flight, event });
    chatty.channels.flight.publish({ ...flight, event });
  }
  assert.deepEqual(
    quiet.lines().map(({ change }) => change),
    ['done', 'passed', 'failed', 'parked'],
  );
  assert.equal(chatty.lines().length, events.length);
});

test('the line of a transfer says of what, from where, how much came and what stays', () => {
  const { channels, lines } = recorder();
  channels.flight.publish({
    ...flight,
    event: 'failed',
    keptBytes: 7,
    errorCode: 'UPSTREAM_FAILED',
    message: 'broken',
  });
  const [{ time: _time, digest, ...line } = {}] = lines();
  assert.equal(digest, flight.digest);
  assert.deepEqual(line, {
    level: 'info',
    event: 'flight',
    change: 'failed',
    upstream: 'docker.io',
    source: 'docker.io/library/app',
    endpoint: 'registry-1.docker.io',
    sizeBytes: 10,
    filledBytes: 10,
    receivedBytes: 12,
    keptBytes: 7,
    waiters: 2,
    readers: 3,
    durationMs: 5,
    error: 'UPSTREAM_FAILED',
    message: 'broken',
  });
});

test('a transfer that is not kept says so, and why', () => {
  const { channels, lines } = recorder();
  channels.flight.publish({ ...flight, event: 'passed', keptBytes: 0, notKept: 'too-large' });
  const [{ level, change, notKept, keptBytes, message } = {}] = lines();
  assert.deepEqual([level, change, notKept, keptBytes], ['info', 'passed', 'too-large', 0]);
  assert.equal(message, 'streamed without being kept: it is larger than the cache may be');
});

test('what only a transfer sees of an upstream is a warning, once in a while for each kind and upstream', () => {
  const { channels, clock, lines } = recorder();
  const failed = { ...flight, event: 'failed', errorCode: 'CONTENT_MISMATCH' } as const;
  channels.flight.publish(failed);
  channels.flight.publish(failed);
  channels.flight.publish({ ...failed, upstream: 'ghcr.io' });
  channels.flight.publish({ ...failed, errorCode: 'PULL_DEADLINE' });
  clock.advance(600_000);
  channels.flight.publish(failed);
  channels.flight.publish({ ...failed, errorCode: 'INTERNAL' });
  assert.deepEqual(
    lines().map(({ level }) => level),
    ['warn', 'info', 'warn', 'warn', 'warn', 'error'],
  );
});

test('that an upstream is away, or refuses, is no warning of each transfer', () => {
  const { channels, lines } = recorder();
  for (const errorCode of ['UPSTREAM_UNREACHABLE', 'UPSTREAM_RATE_LIMITED', 'BLOB_UNKNOWN', 'STORAGE_FULL'] as const) {
    channels.flight.publish({ ...flight, event: 'failed', errorCode });
  }
  assert.deepEqual(new Set(lines().map(({ level }) => level)), new Set(['info']));
});

test('content that is not kept although it should be is a warning, once in a while for each cause', () => {
  const { channels, clock, lines } = recorder();
  const passed = (notKept: 'too-large' | 'disk-full' | 'cache-in-use') =>
    channels.flight.publish({ ...flight, event: 'passed', notKept });
  for (const cause of ['disk-full', 'disk-full', 'too-large', 'cache-in-use'] as const) passed(cause);
  clock.advance(600_000);
  passed('disk-full');
  assert.deepEqual(
    lines().map(({ level }) => level),
    ['warn', 'info', 'info', 'warn', 'warn'],
  );
});

test('an eviction is a line', () => {
  const { channels, lines } = recorder();
  channels.eviction.publish({ blobs: 3, bytes: 100, sizeAfterBytes: 50 });
  const [{ event, blobs, bytes, sizeAfterBytes } = {}] = lines();
  assert.deepEqual(
    { event, blobs, bytes, sizeAfterBytes },
    { event: 'eviction', blobs: 3, bytes: 100, sizeAfterBytes: 50 },
  );
});

const names = { upstream: 'docker.io', endpoint: 'mirror.example' };
const endpoint = { ...names, isOnly: false };

test('an endpoint that goes out of use is a warning, and its return tells how long it was out', () => {
  const { channels, clock, lines } = recorder();
  channels.breaker.publish({ ...endpoint, state: 'open', reason: 'it does not answer' });
  clock.advance(1000);
  for (const state of ['half-open', 'open', 'half-open'] as const) {
    channels.breaker.publish({ ...endpoint, state, reason: 'the probe failed' });
  }
  clock.advance(3500);
  channels.breaker.publish({ ...endpoint, state: 'closed', reason: undefined });
  const said = lines().map(({ time: _, ...line }) => line);
  assert.deepEqual(said, [
    {
      level: 'warn',
      event: 'breaker',
      state: 'open',
      ...names,
      reason: 'it does not answer',
      message: 'mirror.example of docker.io is out of use',
    },
    {
      level: 'warn',
      event: 'breaker',
      state: 'closed',
      ...names,
      outMs: 4500,
      message: 'mirror.example of docker.io is in use again',
    },
  ]);
});

test('an only endpoint that fails is two warnings, however often it is asked meanwhile: when that begins and when it is over', () => {
  const { channels, clock, lines } = recorder('warn');
  const only = { ...names, isOnly: true };
  channels.breaker.publish({ ...only, state: 'open', reason: 'it does not answer' });
  for (let n = 0; n < 50; n++) {
    clock.advance(1000);
    channels.breaker.publish({ ...only, state: 'half-open', reason: 'it does not answer' });
    channels.breaker.publish({ ...only, state: 'open', reason: 'it does not answer' });
  }
  channels.breaker.publish({ ...only, state: 'closed', reason: undefined });
  assert.deepEqual(
    lines().map(({ level, message }) => [level, message]),
    [
      ['warn', 'mirror.example of docker.io fails, and there is no other'],
      ['warn', 'mirror.example of docker.io answers again'],
    ],
  );
});

test('a rest that an endpoint asked for is a line', () => {
  const { channels, lines } = recorder();
  channels.pause.publish({ ...names, what: 'manifests', status: 429, forMs: 41_200.4 });
  const [{ time: _, ...line } = {}] = lines();
  const message = 'mirror.example of docker.io asked for a rest';
  assert.deepEqual(line, { level: 'info', event: 'pause', ...names, what: 'manifests', forMs: 41_200, message });
});

test('an endpoint that goes to and fro does not flood the log, and nobody is left with the wrong end of it', () => {
  const { channels, clock, lines } = recorder();
  for (let second = 0; second < 600; second++) {
    channels.breaker.publish({ ...endpoint, state: 'open', reason: 'gone' });
    channels.pause.publish({ ...names, what: 'blobs', status: 429, forMs: 1000 });
    clock.advance(500);
    channels.breaker.publish({ ...endpoint, state: 'closed', reason: undefined });
    clock.advance(500);
  }
  const said = lines();
  const moves = said.filter(({ event }) => event === 'breaker').map(({ state }) => state);
  assert.ok(moves.length <= 2 * (5 + 10) && moves.length > 10, `${moves.length} lines`);
  assert.ok(moves.every((state, index) => state === (index % 2 === 0 ? 'open' : 'closed')));
  assert.ok(said.filter(({ event }) => event === 'pause').length <= 5 + 10);
  const omitted = said.reduce((sum, line) => sum + Number(line.omitted ?? 0), 0);
  assert.ok(omitted > 1000, `${omitted} are owned up to`);
  channels.breaker.publish({ ...endpoint, endpoint: 'other.example', state: 'open', reason: 'gone' });
  assert.equal(lines().length, said.length + 1, 'one that is seldom heard of is heard');
});

test('what upstream said of itself keeps to its line, and to itself what is secret', () => {
  const { channels, lines, text } = recorder();
  const reason = `led to https://cdn.example/x?sig=hunter2\n${'x'.repeat(5000)}`;
  channels.breaker.publish({ ...endpoint, state: 'open', reason });
  assert.equal(lines().length, 1);
  assert.ok(text().length < 3000);
  assert.doesNotMatch(text(), /hunter2/);
});
