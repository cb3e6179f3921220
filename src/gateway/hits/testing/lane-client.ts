import { RawClient } from '../../testing/test-client.ts';

/** A request as pullers send it. */
export function get(path: string, ...headers: string[]): string {
  return `${[`GET ${path} HTTP/1.1`, 'Host: a', ...headers].join('\r\n')}\r\n\r\n`;
}

/** The responses in what came over a connection, of which some are known to have no body. The last may be incomplete. */
export function framed(text: string, isHead: readonly boolean[]): string[] {
  const answers: string[] = [];
  for (let from = 0, index = 0; from < text.length; index++) {
    const bodyAt = text.indexOf('\r\n\r\n', from) + 4;
    if (bodyAt < 4) break;
    const head = text.slice(from, bodyAt);
    const hasNone = isHead[index] === true || head.startsWith('HTTP/1.1 304');
    const length = hasNone ? 0 : Number(/\r\nContent-Length: (\d+)/i.exec(head)?.[1] ?? 0);
    if (bodyAt + length > text.length) break;
    answers.push(text.slice(from, bodyAt + length));
    from = bodyAt + length;
  }
  return answers;
}

export function undated(answer: string): string {
  return answer.replace(/\r\nDate: [^\r]*/, '');
}

/** A connection that asks and takes answers apart. */
export class LaneClient extends RawClient {
  /** Sends one head in one piece; resolves with its whole response. */
  async ask(head: string): Promise<string> {
    const [answer = ''] = await this.askAll([head], [head.startsWith('HEAD')]);
    return answer;
  }

  /** Sends pieces, each by itself; resolves with as many responses as `isHead` has entries. */
  async askAll(pieces: readonly string[], isHead: readonly boolean[]): Promise<string[]> {
    const from = this.text.length;
    this.socket.setNoDelay(true);
    for (const piece of pieces) {
      this.send(piece);
      await this.arrived();
    }
    for (;;) {
      const answers = framed(this.text.slice(from), isHead);
      if (answers.length >= isHead.length || this.socket.closed) return answers;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Lets what was sent go by itself: over loopback, what is with the kernel is there, and two turns later it was read. */
  async arrived(): Promise<void> {
    while (this.socket.connecting || this.socket.writableLength > 0)
      await new Promise((resolve) => setImmediate(resolve));
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  async leave(): Promise<void> {
    this.socket.end();
    await this.closed;
  }
}
