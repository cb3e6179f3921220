import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { entering } from './commands.ts';
import type { RelayedLink } from './packet-relay.ts';

const program = new URL('./packet-relay.ts', import.meta.url).pathname;

/** The relay as a child in a network of its own. */
export class RelayProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #routerAddress: string;

  private constructor(child: ChildProcess, routerAddress: string) {
    this.#child = child;
    this.#routerAddress = routerAddress;
  }

  /** `seed` decides which packets are lost. */
  static async start(network: string, routerAddress: string, seed: number): Promise<RelayProcess> {
    const [command = '', ...args] = [...entering(network), process.execPath, program, String(seed)];
    const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    await once(child, 'message');
    return new RelayProcess(child, routerAddress);
  }

  /** Resolves once it is so. */
  async order(links: readonly RelayedLink[]): Promise<void> {
    const done = once(this.#child, 'message');
    this.#child.send({ routerAddress: this.#routerAddress, links });
    await done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}
