import type { Socket } from 'node:net';

/** Takes what a socket has received. */
export type OnData = (chunk: NonSharedBuffer) => void;

/**
 * Takes node:http's place as the reader of a server's socket: from here on what arrives is emitted as `data`, and node:http
 * gets what it is called with. Undefined, and nothing changed, where node is not as expected: one listener that feeds the
 * parser, and a parser that has no bytes yet.
 *
 * A parser reads of the handle by itself and no `data` is emitted, until somebody else listens to `data`: then node lets go
 * of the handle and feeds the parser by its own listener (`unconsume` in lib/_http_server.js).
 */
export function takeOver(socket: Socket): OnData | undefined {
  const [listener, ...others] = socket.listeners('data');
  if (listener === undefined || others.length > 0 || parserOf(socket) === undefined) return undefined;
  const theirs: OnData = (chunk) => listener.call(socket, chunk);
  const probe = () => {};
  socket.on('data', probe);
  const isFed = Reflect.get(parserOf(socket) ?? {}, '_consumed') === false;
  if (isFed) socket.off('data', listener as OnData);
  socket.off('data', probe);
  return isFed ? theirs : undefined;
}

/** Runs `close`, which ends idle connections, so that it spares these: node sees nothing under way on them. */
export function sparing(sockets: Iterable<Socket>, close: () => void): void {
  const spared = [...sockets].filter((socket) => Reflect.get(socket, '_httpMessage') == null);
  for (const socket of spared) Reflect.set(socket, '_httpMessage', { finished: false });
  try {
    close();
  } finally {
    for (const socket of spared) Reflect.set(socket, '_httpMessage', null);
  }
}

function parserOf(socket: Socket): object | undefined {
  const parser: unknown = Reflect.get(socket, 'parser');
  return typeof parser === 'object' && parser !== null && '_consumed' in parser ? parser : undefined;
}
