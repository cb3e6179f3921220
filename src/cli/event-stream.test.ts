import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventsIn, type ServerEvent } from './event-stream.ts';

async function read(chunks: Iterable<string>): Promise<ServerEvent[]> {
  const events: ServerEvent[] = [];
  for await (const event of eventsIn(streamOf(chunks))) events.push(event);
  return events;
}

async function* streamOf(chunks: Iterable<string>): AsyncGenerator<string> {
  yield* chunks;
}

test('an event is what stands before an empty line, however the stream is cut', async () => {
  const text =
    'event: state\ndata: {"a":1}\n\n: still here\n\ndata:one\r\ndata: two\r\nother\r\n\r\nevent: x\n\ndata: lost\n';
  const events = [
    { event: 'state', data: '{"a":1}' },
    { event: 'message', data: 'one\ntwo' },
  ];
  assert.deepEqual(await read([text]), events);
  assert.deepEqual(await read(text), events);
});

test('what JSON leaves as it is breaks no event: the separators of Unicode, a colon, a backslash', async () => {
  const error = 'line\u2028paragraph\u2029next\u0085 http://a.example: \\n \u{1f4a5}';
  const data = JSON.stringify({ error });
  assert.ok(data.includes('\u2028'));
  assert.deepEqual(await read([`event: change\ndata: ${data}\n\n`]), [{ event: 'change', data }]);
});
