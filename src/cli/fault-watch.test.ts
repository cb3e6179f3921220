import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { asAppError } from '../core/errors.ts';
import { Channels, type NoticeEvent } from '../telemetry/channels.ts';
import { exitOnFault } from './fault-watch.ts';

function setUp(leave: () => Promise<void>, withinMs?: number) {
  const exited = Promise.withResolvers<number>();
  const exits: number[] = [];
  const channels = new Channels();
  const notices: NoticeEvent[] = [];
  channels.notice.subscribe((event) => notices.push(event));
  const process = Object.assign(new EventEmitter(), {
    exit(code: number) {
      exits.push(code);
      exited.resolve(code);
    },
  });
  exitOnFault({ process, channels, leave }, withinMs);
  return { process, notices, exits, exited: exited.promise };
}

test('a fault is one line, then everything is left in order, then the process exits with 1', async () => {
  const left = Promise.withResolvers<void>();
  let leaves = 0;
  const { process, notices, exits, exited } = setUp(() => {
    leaves++;
    return left.promise;
  });
  process.emit('uncaughtException', new Error('boom'), 'uncaughtException');
  assert.deepEqual([notices.length, notices[0]?.level, notices[0]?.fields?.event], [1, 'error', 'fault']);
  assert.match(String(asAppError(notices[0]?.error).cause), /boom/);
  assert.deepEqual(exits, []);
  process.emit('unhandledRejection', new Error('and another'));
  assert.deepEqual([notices.length, leaves, exits.length], [2, 1, 0]);
  left.resolve();
  assert.equal(await exited, 1);
  assert.deepEqual(exits, [1]);
});

test('a rejection that nobody handled is a fault, whatever it was rejected with', async () => {
  const { process, notices, exited } = setUp(async () => {});
  process.emit('unhandledRejection', undefined);
  assert.equal(await exited, 1);
  assert.equal(notices.length, 1);
});

test('leaving that fails or never ends does not keep the process', async () => {
  const failing = setUp(() => Promise.reject(new Error('the disk is gone')));
  failing.process.emit('uncaughtException', new Error('boom'));
  assert.equal(await failing.exited, 1);
  assert.equal(failing.notices.length, 2);
  const hanging = setUp(() => new Promise(() => {}), 1);
  hanging.process.emit('uncaughtException', new Error('boom'));
  assert.equal(await hanging.exited, 1);
});
