import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type App, startApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import { problemText } from '../../src/config/problems.ts';
import { addressText } from '../../src/core/address.ts';
import type { Gateway } from '../../src/gateway/gateway.ts';
import { Channels } from '../../src/telemetry/channels.ts';
import { Log } from '../../src/telemetry/log.ts';
import { AdminApi } from './admin-api.ts';
import { TemporaryDirectory } from './loopback.ts';
import type { Configuration, LogLine } from './onepull-process.ts';
import { testThreads } from './test-threads.ts';

export interface OnepullAppOptions {
  /** What it sees of the environment: proxies, and where credential helpers are found. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * The whole of onepull inside the test's process: much quicker to start than a child, and what it leaves open is seen.
 * Can be stopped and started again on the same data.
 */
export class OnepullApp implements AsyncDisposable {
  readonly #folder: TemporaryDirectory;
  readonly #options: OnepullAppOptions;
  readonly #lines: LogLine[] = [];
  #app: App | undefined;

  private constructor(folder: TemporaryDirectory, options: OnepullAppOptions) {
    this.#folder = folder;
    this.#options = options;
  }

  /** `storage.path` is filled in, as are `listen` and `admin` unless they are there. */
  static async start(configuration: Configuration = {}, options: OnepullAppOptions = {}): Promise<OnepullApp> {
    const onepull = new OnepullApp(await TemporaryDirectory.make(), options);
    try {
      await onepull.configure(configuration);
      await onepull.startAgain();
    } catch (error) {
      await onepull[Symbol.asyncDispose]();
      throw error;
    }
    return onepull;
  }

  /** `127.0.0.1:<port>` of the distribution API. */
  get host(): string {
    return addressText(this.#running.listen);
  }

  get url(): string {
    return `http://${this.host}`;
  }

  get adminUrl(): string {
    return `http://${addressText(this.#running.admin)}`;
  }

  get admin(): AdminApi {
    return new AdminApi(this.adminUrl);
  }

  get gateway(): Gateway {
    return this.#running.gateway;
  }

  get dataFolder(): string {
    return join(this.#folder.path, 'data');
  }

  /** Every line of log so far, of all runs. */
  get log(): readonly LogLine[] {
    return this.#lines;
  }

  /** For the next start. */
  async configure(configuration: Configuration): Promise<void> {
    const [listen, admin] = ['127.0.0.1:0', '127.0.0.1:0'];
    const storage = { ...configuration.storage, path: this.dataFolder };
    const server = { threads: testThreads, ...configuration.server };
    const full = { listen, admin, ...configuration, storage, server };
    await writeFile(this.#configFile, JSON.stringify(full)); // JSON is YAML
  }

  async startAgain(): Promise<void> {
    const loaded = await loadConfig({ file: this.#configFile });
    if (loaded.kind === 'problems') throw new Error(loaded.problems.map(problemText).join('\n'));
    const channels = new Channels();
    const write = (lines: string) => {
      for (const line of lines.trimEnd().split('\n')) this.#lines.push(JSON.parse(line) as LogLine);
    };
    const log = new Log({ channels }, { ...loaded.config.log, stream: { write } });
    const env = this.#options.env ?? { PATH: process.env.PATH };
    const { config, settings } = loaded;
    this.#app = await startApp(config, { channels, log, env, settings, processMetrics: false });
  }

  /** Ends it as SIGTERM does. Idempotent. */
  async stop(drainMs = 0): Promise<void> {
    await this.#app?.drain(drainMs);
    await this.#app?.[Symbol.asyncDispose]();
    this.#app = undefined;
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.startAgain();
  }

  /** Nothing is in progress and nothing half-done is on disk. Waits a moment for what is just ending. */
  async assertIdle(): Promise<void> {
    await this.admin.assertIdle();
    await this.admin.until(
      () => readdir(join(this.dataFolder, 'ingest')),
      (files) => files.length === 0,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.#folder[Symbol.asyncDispose]();
  }

  get #configFile(): string {
    return join(this.#folder.path, 'onepull.yaml');
  }

  get #running(): App {
    if (this.#app === undefined) throw new Error('onepull is not running');
    return this.#app;
  }
}
