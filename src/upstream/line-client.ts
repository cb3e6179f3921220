import { buildConnector, Client, type Dispatcher } from 'undici';
import { BodyLine } from './body-line.ts';

/** Options of a request that wants to know its connection. */
export interface LinedOptions extends Dispatcher.DispatchOptions {
  /** Told before the request is sent how to get at its connection, where that has a line. */
  readonly lined?: (line: () => BodyLine | undefined) => void;
}

/** The latest TLS session with one origin: the next connection begins with it. */
export interface LatestSession {
  session?: Buffer;
}

/** A client of one origin, that has one connection at a time, and a line of each. */
export class LineClient extends Client {
  readonly #line: () => BodyLine | undefined;

  constructor(
    origin: URL,
    options: Client.Options,
    connect: buildConnector.BuildOptions,
    /** Shared by all clients of the origin. */
    latest: LatestSession,
  ) {
    let line: BodyLine | undefined;
    super(origin, {
      ...options,
      connect: (where, callback) => {
        const next = new BodyLine();
        // Types know nothing of `onread`, which Node's `net` and `tls` document.
        const own: buildConnector.BuildOptions & { onread: BodyLine['onread'] } = { ...connect, onread: next.onread };
        buildConnector(latest.session === undefined ? own : { ...own, session: latest.session })(where, (...result) => {
          const [, socket] = result;
          if (socket) {
            socket.on('session', (session: Buffer) => {
              latest.session = session;
            });
            next.connected(socket);
            line = next;
          }
          callback(...result);
        });
      },
    });
    this.#line = () => line;
  }

  override dispatch(options: LinedOptions, handler: Dispatcher.DispatchHandler): boolean {
    options.lined?.(this.#line);
    return super.dispatch(options, handler);
  }
}
