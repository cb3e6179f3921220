import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ChildOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** What ends it with its owner; SIGKILL unless told. For programs that have children of their own to end. */
  readonly endSignal?: NodeJS.Signals;
}

/** A long-running child process with its lines of output. Disposing ends it, and so does the end of this process. */
export class Child implements AsyncDisposable {
  readonly stdout: string[] = [];
  readonly stderr: string[] = [];
  /** Resolves when the child is gone and its output read; rejects when it could not be started. */
  readonly exited: Promise<Exit>;
  readonly #process: ChildProcess;
  readonly #endSignal: NodeJS.Signals;
  readonly #watchers = new Set<(line: string) => void>();

  constructor(command: string, args: readonly string[], { endSignal, ...options }: ChildOptions = {}) {
    this.#endSignal = endSignal ?? 'SIGKILL';
    this.#process = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    const endWithUs = () => this.#process.kill(this.#endSignal);
    // Before the folders that it writes to go.
    process.prependOnceListener('exit', endWithUs);
    this.exited = new Promise<Exit>((resolve, reject) => {
      this.#process.once('error', reject);
      this.#process.once('close', (code, signal) => resolve({ code, signal }));
    }).finally(() => process.off('exit', endWithUs));
    this.exited.catch(() => {});
    this.#collect('stdout');
    this.#collect('stderr');
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  get isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null && this.#process.pid !== undefined;
  }

  /** The last lines of output, for messages. */
  get tail(): string {
    return [...this.stdout.slice(-10), ...this.stderr.slice(-10)].join('\n');
  }

  /** The first line of output, past or to come, that `wanted` accepts. Rejects if the child ends without it. */
  line(wanted: (line: string) => boolean): Promise<string> {
    const past = this.stdout.find(wanted) ?? this.stderr.find(wanted);
    if (past !== undefined) return Promise.resolve(past);
    return new Promise((resolve, reject) => {
      const look = (line: string) => {
        if (!wanted(line)) return;
        this.#watchers.delete(look);
        resolve(line);
      };
      this.#watchers.add(look);
      this.exited.then(({ code, signal }) => {
        reject(new Error(`ended (${signal ?? code}) before the expected line:\n${this.tail}`));
      }, reject);
    });
  }

  async kill(signal: NodeJS.Signals): Promise<Exit> {
    this.#process.kill(signal);
    return this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill(this.#endSignal);
    await this.exited.catch(() => {});
  }

  #collect(name: 'stdout' | 'stderr'): void {
    const stream = this.#process[name];
    if (stream === null) return;
    createInterface({ input: stream }).on('line', (line) => {
      this[name].push(line);
      for (const look of this.#watchers) look(line);
    });
  }
}

/** Runs a command to its end. */
export async function run(
  command: string,
  args: readonly string[],
  options: ChildOptions = {},
): Promise<Exit & { stdout: string; stderr: string }> {
  await using child = new Child(command, args, options);
  const exit = await child.exited;
  return { ...exit, stdout: child.stdout.join('\n'), stderr: child.stderr.join('\n') };
}
