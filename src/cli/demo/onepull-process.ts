import { type ChildProcess, fork } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Credentials } from './gatekeeper.ts';

export interface OnepullProcessOptions {
  /** An empty folder for configuration, data and log; the caller removes it. */
  readonly folder: string;
  /** The only upstream. */
  readonly upstreamUrl: string;
  readonly credentials: Credentials;
}

const stopWithinMs = 3000;
/** Of those that may say why it ended. */
const linesRemembered = 20;

/** A real `onepull serve` on free loopback ports, in a process of its own. */
export class OnepullProcess implements AsyncDisposable {
  /** Never resolves; rejects when the process ends by itself. */
  readonly died: Promise<never>;
  readonly logFile: string;
  readonly #process: ChildProcess;
  readonly #closed: Promise<void>;
  readonly #log: WriteStream;
  readonly #listening = Promise.withResolvers<void>();
  #lastLines: string[] = [];
  #isStopping = false;
  #host = '';
  #adminHost = '';

  private constructor(configFile: string, folder: string) {
    this.logFile = join(folder, 'onepull.log');
    this.#log = createWriteStream(this.logFile);
    this.#log.on('error', () => {}); // a log that cannot be written stops nobody
    const entry = new URL(`./onepull-child${extname(import.meta.url)}`, import.meta.url);
    this.#process = fork(fileURLToPath(entry), [configFile, folder], {
      env: cleanEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const died = Promise.withResolvers<never>();
    const closed = Promise.withResolvers<void>();
    const onEnd = (why: string) => {
      if (!this.#isStopping) died.reject(new Error(`onepull ${why}\n${this.#lastLines.join('\n')}`.trim()));
      closed.resolve();
    };
    this.#process.once('error', ({ message }) => onEnd(`could not be started: ${message}`));
    this.#process.once('close', (code, signal) => onEnd(`ended by itself (${signal ?? `exit code ${code}`})`));
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#read(line));
    }
    this.died = died.promise;
    this.died.catch(() => {});
    this.#closed = closed.promise;
  }

  /** Resolves once it listens. */
  static async start({ folder, upstreamUrl, credentials }: OnepullProcessOptions): Promise<OnepullProcess> {
    const [configFile, passwordFile] = [join(folder, 'onepull.yaml'), join(folder, 'password')];
    await writeFile(passwordFile, credentials.password, { mode: 0o600 });
    const config = {
      listen: '127.0.0.1:0',
      admin: '127.0.0.1:0',
      storage: { path: join(folder, 'data'), scrubRate: '0' },
      upstreams: {
        'registry.example': { url: upstreamUrl, credentials: { username: credentials.username, passwordFile } },
      },
      server: { shutdownTimeout: '0s' },
    };
    await writeFile(configFile, JSON.stringify(config, undefined, 2)); // JSON is YAML
    const onepull = new OnepullProcess(configFile, folder);
    try {
      await Promise.race([onepull.#listening.promise, onepull.died]);
    } catch (error) {
      await onepull[Symbol.asyncDispose]();
      throw error;
    }
    return onepull;
  }

  /** `127.0.0.1:<port>` where nodes pull. */
  get host(): string {
    return this.#host;
  }

  get adminUrl(): string {
    return `http://${this.#adminHost}`;
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true;
    this.#process.kill('SIGTERM');
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), stopWithinMs);
    await this.#closed;
    clearTimeout(timer);
    await new Promise<void>((resolve) => this.#log.close(() => resolve()));
  }

  #read(line: string): void {
    this.#log.write(`${line}\n`);
    if (!line.includes('"level":"info"')) this.#lastLines = [...this.#lastLines.slice(1 - linesRemembered), line];
    if (this.#host !== '' || !line.includes('"event":"listening"')) return;
    const { listen, admin } = JSON.parse(line);
    this.#host = String(listen);
    this.#adminHost = String(admin);
    this.#listening.resolve();
  }
}

/** Without what would configure the child besides its file, and without proxies: the demo stays on this machine. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const isForeign = (name: string) => /^ONEPULL_|^(https?|all|no)_proxy$/i.test(name);
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !isForeign(name)));
}
