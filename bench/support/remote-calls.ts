import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

/** What a child offers: functions of one argument that crosses as JSON, and so does the result. */
export type Methods = Readonly<Record<string, (argument: never) => unknown>>;

interface Call {
  readonly id: number;
  readonly method: string;
  readonly argument: unknown;
}

type Reply = { readonly id: number } & ({ readonly value: unknown } | { readonly error: string });

/** A program of ours in a process of its own, so that it shares no event loop with what is measured. */
export class RemoteProgram<M extends Methods> implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>();
  #lastId = 0;

  /** `file`: a module that calls `serveCalls`. `inside`: a command that becomes the one that follows it, somewhere else. */
  constructor(file: URL, args: readonly string[] = [], inside: readonly string[] = []) {
    const [execPath = process.execPath, ...before] = [...inside, process.execPath];
    const execArgv = inside.length === 0 ? process.execArgv : [...before, ...process.execArgv];
    this.#child = fork(file, args, { execPath, execArgv, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const endWithUs = () => this.#child.kill('SIGKILL');
    // Before the folders that it writes to go.
    process.prependOnceListener('exit', endWithUs);
    this.#child.on('message', (message) => this.#settle(message as Reply));
    this.#child.once('exit', (code, signal) => {
      process.off('exit', endWithUs);
      for (const { reject } of this.#pending.values()) reject(new Error(`${file.pathname} ended: ${signal ?? code}`));
      this.#pending.clear();
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  call<K extends keyof M & string>(
    method: K,
    ...args: Parameters<M[K]> extends [] ? [] : [argument: Parameters<M[K]>[0]]
  ): Promise<Awaited<ReturnType<M[K]>>> {
    const id = ++this.#lastId;
    const pending = Promise.withResolvers<unknown>();
    this.#pending.set(id, pending);
    const call: Call = { id, method, argument: args[0] };
    this.#child.send(call, (error) => error && pending.reject(error));
    return pending.promise as Promise<Awaited<ReturnType<M[K]>>>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  #settle(reply: Reply): void {
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if ('error' in reply) pending?.reject(new Error(reply.error));
    else pending?.resolve(reply.value);
  }
}

/** The child's side: answers calls until the parent is gone. */
export function serveCalls(methods: Methods): void {
  process.on('disconnect', () => process.exit());
  process.on('message', async (message) => {
    const { id, method, argument } = message as Call;
    let reply: Reply;
    try {
      const value = await methods[method]?.(argument as never);
      reply = { id, value };
    } catch (error) {
      reply = { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
    process.send?.(reply);
  });
}
