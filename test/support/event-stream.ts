import { once } from 'node:events';
import { type ClientRequest, get, type IncomingMessage } from 'node:http';
import { type Members, patched } from '../../src/core/merge-patch.ts';

/** One server-sent event. */
export interface ServerEvent {
  readonly event: string;
  /** The JSON in it. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** A viewer of server-sent events that reads when it is told to: between two calls of `next` it takes nothing. */
export class EventStream implements AsyncDisposable {
  readonly response: IncomingMessage;
  readonly #request: ClientRequest;
  readonly #pieces: AsyncIterator<string>;
  #text = '';
  /** What the events that were read say together. */
  state: Members = {};
  /** Comments that came. */
  comments = 0;

  private constructor(request: ClientRequest, response: IncomingMessage) {
    this.#request = request;
    this.response = response;
    this.#pieces = response.setEncoding('utf8').iterator({ destroyOnReturn: false });
  }

  /** Whatever the status is. */
  static async open(url: string): Promise<EventStream> {
    const request = get(url, { agent: false, headers: { accept: 'text/event-stream' } });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    request.on('error', () => {});
    response.on('error', () => {});
    return new EventStream(request, response);
  }

  /** The next event, or undefined: the stream has ended, in order. Rejects where it was cut. */
  async next(): Promise<ServerEvent | undefined> {
    for (;;) {
      if (!(await this.#hasBlock())) return undefined;
      const end = this.#text.indexOf('\n\n');
      const block = this.#text.slice(0, end);
      this.#text = this.#text.slice(end + 2);
      if (block.startsWith(':')) {
        this.comments++;
        continue;
      }
      const fields = new Map(
        block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
      );
      const event = { event: fields.get('event') ?? '', data: JSON.parse(fields.get('data') ?? 'null') };
      this.state = event.event === 'change' ? (patched(this.state, event.data) as Members) : event.data;
      return event;
    }
  }

  /** Whether the stream goes on to the end of a block, which then stands in `#text`. Of a long one each piece is searched once. */
  async #hasBlock(): Promise<boolean> {
    if (this.#text.includes('\n\n')) return true;
    const pieces = [this.#text];
    for (let isEnd = false; !isEnd; ) {
      const { value, done } = await this.#pieces.next();
      if (done) return false;
      isEnd = `${pieces.at(-1)?.slice(-1)}${value}`.includes('\n\n');
      pieces.push(value);
    }
    this.#text = pieces.join('');
    return true;
  }

  /** The first event that is right, reading over others. */
  async until(isRight: (event: ServerEvent, state: Members) => boolean): Promise<ServerEvent> {
    for (;;) {
      const event = await this.next();
      if (event === undefined) throw new Error('the stream has ended');
      if (isRight(event, this.state)) return event;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { socket } = this.#request;
    this.#request.destroy();
    if (socket !== null && !socket.closed) await once(socket, 'close');
  }
}
