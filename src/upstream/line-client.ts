import { buildConnector, Client, type Dispatcher } from 'undici';
import { PlainLine } from './plain-line.ts';

/** Options of a request that wants to know its connection. */
export interface LinedOptions extends Dispatcher.DispatchOptions {
  /** Told before the request is sent how to get at its connection, where that has a line. */
  readonly lined?: (line: () => PlainLine | undefined) => void;
}

/** A client of one origin without TLS, that has one connection at a time, and a line of each. */
export class LineClient extends Client {
  readonly #line: () => PlainLine | undefined;

  constructor(origin: URL, options: Client.Options, connect: buildConnector.BuildOptions) {
    let line: PlainLine | undefined;
    super(origin, {
      ...options,
      connect: (where, callback) => {
        const next = new PlainLine();
        buildConnector({ ...connect, onread: next.onread } as buildConnector.BuildOptions)(where, (...result) => {
          const [, socket] = result;
          if (socket !== null) {
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
