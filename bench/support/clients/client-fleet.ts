import { RemoteProgram } from '../remote-calls.ts';
import type { BurstRequest, ClientsMethods } from './clients-child.ts';
import type { PullOutcome } from './lean-pull.ts';

const program = new URL('./clients-child.ts', import.meta.url);

export interface Burst {
  readonly pulls: readonly PullOutcome[];
  /** From the word to start to the end of the last pull. */
  readonly wallMs: number;
  /** CPU time that the busiest client process took: close to `wallMs` would mean that clients are what is measured. */
  readonly busiestCpuMs: number;
  readonly cpuMs: number;
}

/** Clients, spread over processes of their own. */
export class ClientFleet implements AsyncDisposable {
  readonly #processes: readonly RemoteProgram<ClientsMethods>[];

  constructor(processes: number) {
    this.#processes = Array.from({ length: processes }, () => new RemoteProgram<ClientsMethods>(program));
  }

  /** A process for measurements that need just one. */
  get first(): RemoteProgram<ClientsMethods> {
    const [first] = this.#processes;
    if (first === undefined) throw new Error('a fleet has at least one process');
    return first;
  }

  async burst(request: BurstRequest): Promise<Burst> {
    const startedAt = performance.now();
    const parts = this.#processes
      .map((process, n) => ({ process, clients: share(request.clients, n, this.#processes.length) }))
      .filter(({ clients }) => clients > 0);
    const verify = Math.ceil(request.verify / parts.length);
    const results = await Promise.all(
      parts.map(({ process, clients }) => process.call('burst', { ...request, clients, verify })),
    );
    const cpu = results.map(({ cpuMs }) => cpuMs);
    return {
      pulls: results.flatMap(({ pulls }) => pulls),
      wallMs: performance.now() - startedAt,
      busiestCpuMs: Math.max(...cpu),
      cpuMs: cpu.reduce((sum, ms) => sum + ms, 0),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#processes.map((process) => process[Symbol.asyncDispose]()));
  }
}

/** The `n`th of `parts` nearly equal shares. */
function share(total: number, n: number, parts: number): number {
  return Math.floor(((n + 1) * total) / parts) - Math.floor((n * total) / parts);
}
