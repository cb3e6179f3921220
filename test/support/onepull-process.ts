import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AdminApi } from './admin-api.ts';
import { Child, type Exit } from './child.ts';
import { freePort, TemporaryDirectory } from './loopback.ts';
import { testThreads } from './test-threads.ts';

const program = new URL('../../bin/onepull', import.meta.url).pathname;
const startDeadlineMs = 20_000;

export interface OnepullProcessOptions {
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** A command that becomes onepull, such as `['setsid']`: it has to `exec`, so that the process is the same. */
  readonly wrapper?: readonly string[];
  /** Further flags after `serve --config FILE`. */
  readonly args?: readonly string[];
}

/** A line of the log. */
export interface LogLine {
  readonly [field: string]: unknown;
}

/** What a configuration file says; `listen`, `admin` and `storage.path` are filled in unless they are there. */
export type Configuration = Readonly<Record<string, unknown>> & {
  readonly storage?: Readonly<Record<string, unknown>>;
  readonly server?: Readonly<Record<string, unknown>>;
};

/**
 * `onepull serve` as a child on free loopback ports with a data directory of its own, which can be killed and started
 * again with the same ports and data.
 */
export class OnepullProcess implements AsyncDisposable {
  readonly #folder: TemporaryDirectory;
  readonly #options: OnepullProcessOptions;
  #child: Child | undefined;
  #lines: string[] = [];
  #host = '';
  #adminHost = '';

  private constructor(folder: TemporaryDirectory, options: OnepullProcessOptions) {
    this.#folder = folder;
    this.#options = options;
  }

  static async start(configuration: Configuration = {}, options: OnepullProcessOptions = {}): Promise<OnepullProcess> {
    const onepull = new OnepullProcess(await TemporaryDirectory.make(), options);
    const full = {
      listen: `127.0.0.1:${await freePort()}`,
      admin: `127.0.0.1:${await freePort()}`,
      ...configuration,
      storage: { path: onepull.dataFolder, ...configuration.storage },
    };
    try {
      await onepull.configure(full);
      await onepull.startAgain();
    } catch (error) {
      await onepull[Symbol.asyncDispose]();
      throw error;
    }
    return onepull;
  }

  /** `127.0.0.1:<port>` of the distribution API. */
  get host(): string {
    return this.#host;
  }

  get url(): string {
    return `http://${this.#host}`;
  }

  get adminUrl(): string {
    return `http://${this.#adminHost}`;
  }

  get admin(): AdminApi {
    return new AdminApi(this.adminUrl);
  }

  get dataFolder(): string {
    return join(this.#folder.path, 'data');
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** False once it has ended, by whatever. */
  get isRunning(): boolean {
    return this.#child?.isRunning ?? false;
  }

  /** Every line that all runs so far wrote, JSON ones parsed, others as `{ text }`. */
  get log(): readonly LogLine[] {
    return [...this.#lines, ...(this.#child?.stdout ?? []), ...(this.#child?.stderr ?? [])].map(parseLine);
  }

  /** The first log line of the present run, past or to come, that has these fields. Rejects if the process ends first. */
  async logged(fields: LogLine): Promise<LogLine> {
    if (this.#child === undefined) throw new Error('onepull is not running');
    return parseLine(await this.#child.line((line) => hasFields(parseLine(line), fields)));
  }

  /** Writes the whole configuration file anew, for the next start. */
  async configure(configuration: Configuration): Promise<void> {
    const full = { ...configuration, server: { threads: testThreads, ...configuration.server } };
    await writeFile(this.#configFile, JSON.stringify(full, undefined, 2)); // JSON is YAML
  }

  /** Starts it with the same file, data and ports, after it has ended. Resolves once it listens. */
  async startAgain(): Promise<void> {
    await this.#collect();
    const args = ['serve', '--config', this.#configFile, ...(this.#options.args ?? [])];
    const [command = program, ...before] = [...(this.#options.wrapper ?? []), program];
    this.#child = new Child(command, [...before, ...args], {
      env: { ...process.env, ...this.#options.env },
      cwd: this.#folder.path,
    });
    const timer = setTimeout(() => this.#child?.kill('SIGKILL').catch(() => {}), startDeadlineMs);
    try {
      const line = await this.logged({ event: 'listening' });
      this.#host = String(line.listen);
      this.#adminHost = String(line.admin);
    } finally {
      clearTimeout(timer);
    }
  }

  /** kill -9: nothing is written, nothing is closed. */
  async killHard(): Promise<Exit> {
    return this.#end('SIGKILL');
  }

  /** SIGTERM, and waits for the end. */
  async terminate(): Promise<Exit> {
    return this.#end('SIGTERM');
  }

  /** Ends it hard or softly and starts it again. */
  async restart(signal: 'SIGKILL' | 'SIGTERM' = 'SIGTERM'): Promise<void> {
    await this.#end(signal);
    await this.startAgain();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child?.[Symbol.asyncDispose]();
    await this.#folder[Symbol.asyncDispose]();
  }

  get #configFile(): string {
    return join(this.#folder.path, 'onepull.yaml');
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<Exit> {
    if (this.#child === undefined) throw new Error('onepull is not running');
    return this.#child.kill(signal);
  }

  async #collect(): Promise<void> {
    if (this.#child === undefined) return;
    await this.#child[Symbol.asyncDispose]();
    this.#lines = [...this.#lines, ...this.#child.stdout, ...this.#child.stderr];
  }
}

function parseLine(line: string): LogLine {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as LogLine) : { text: line };
  } catch {
    return { text: line };
  }
}

function hasFields(line: LogLine, fields: LogLine): boolean {
  return Object.entries(fields).every(([name, value]) => line[name] === value);
}
