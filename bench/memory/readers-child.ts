import { manifestMediaTypes } from '../../src/core/media-types.ts';
import { LeanConnection } from '../support/clients/lean-connection.ts';
import { serveCalls } from '../support/remote-calls.ts';
import { SlowReaders, type SlowReadersRequest, type SlowReadersState } from './slow-readers.ts';

// Of a manifest some registries know nothing without it.
const accept = ['*/*', ...manifestMediaTypes].join(', ');

let slow: SlowReaders | undefined;

const methods = {
  begin(request: SlowReadersRequest): void {
    slow?.[Symbol.dispose]();
    slow = new SlowReaders(request);
  },

  state: (): SlowReadersState | undefined => slow?.state(),

  end(): SlowReadersState | undefined {
    const state = slow?.state();
    slow?.[Symbol.dispose]();
    slow = undefined;
    return state;
  },

  /** One reader that takes the whole body as fast as it comes. */
  async readFast({ origin, path }: { origin: string; path: string }): Promise<{ ms: number; bytes: number }> {
    using connection = new LeanConnection(origin);
    const startedAt = performance.now();
    const { status, bodyBytes } = await connection.request('GET', path, { accept }, () => {});
    if (status !== 200) throw new Error(`the fast reader got status ${status}`);
    return { ms: performance.now() - startedAt, bytes: bodyBytes };
  },
};

export type ReadersMethods = typeof methods;

serveCalls(methods);
