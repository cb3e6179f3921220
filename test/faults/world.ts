import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { startApp } from '../../src/app.ts';
import type { Content } from '../../src/cli/demo/image.ts';
import type { DemoRegistryOptions } from '../../src/cli/demo/registry.ts';
import { configSchema } from '../../src/config/schema.ts';
import { algorithmOf, type Digest, digestOf, hexOf } from '../../src/core/digest.ts';
import { Channels, type FlightEvent, type NoticeEvent, type RequestEvent } from '../../src/telemetry/channels.ts';
import { AdminApi } from '../support/admin-api.ts';
import { type Download, PullClient } from '../support/client.ts';
import { Leaks } from '../support/leaks.ts';
import { TemporaryDirectory, untilUp } from '../support/loopback.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';
import { testThreads } from '../support/test-threads.ts';

type Section = Readonly<Record<string, unknown>>;

export interface WorldOptions {
  readonly registry?: DemoRegistryOptions;
  /** Further endpoints of the same upstream, after the registry. */
  readonly mirrors?: readonly DemoRegistryOptions[];
  /** Sections of the configuration; `upstream` is that of the registry. */
  readonly upstream?: Section;
  readonly pull?: Section;
  readonly server?: Section;
  readonly storage?: Section;
  /** Where the data goes; a directory of its own unless told. */
  readonly dataFolder?: string;
}

/**
 * onepull in this process, on real sockets and files, in front of a registry that misbehaves as told.
 *
 *     await inWorld({ pull: { stallTimeout: '200ms' } }, async ({ registry, client }) => { ... });
 */
export interface World {
  readonly registry: ScriptedRegistry;
  /** The upstream's other endpoints, in order of preference. Content has to be added to each. */
  readonly mirrors: readonly ScriptedRegistry[];
  /** A client of onepull. */
  readonly client: PullClient;
  /** That many more, each with connections of its own. */
  crowd(clients: number): PullClient[];
  /** `http://127.0.0.1:<port>` of onepull. */
  readonly url: string;
  readonly dataFolder: string;
  /** What was published so far. */
  readonly flightEvents: readonly FlightEvent[];
  readonly requestEvents: readonly RequestEvent[];
  readonly notices: readonly NoticeEvent[];
  /** Resolves as soon as `condition` holds; looked at whenever something is published. */
  until(condition: () => boolean): Promise<void>;
  /** Resolves when no flight is under way. */
  landed(): Promise<void>;
  readonly admin: AdminApi;
  /** Ends onepull as SIGTERM does and starts it again on the same data, at other ports. */
  restart(): Promise<void>;
}

/** Runs `body`; afterwards no flight, descriptor, timer or file of a fill may be left. */
export async function inWorld(options: WorldOptions, body: (world: World) => Promise<void>): Promise<void> {
  const leaks = await Leaks.watch();
  {
    await using world = await FaultWorld.open(options);
    await body(world);
    await world.landed();
    assert.deepEqual(await fillsIn(world.dataFolder), [], 'files of fills are left');
  }
  await leaks.assertNone();
}

class FaultWorld implements World, AsyncDisposable {
  readonly registry: ScriptedRegistry;
  readonly mirrors: readonly ScriptedRegistry[];
  readonly dataFolder: string;
  readonly flightEvents: FlightEvent[] = [];
  readonly requestEvents: RequestEvent[] = [];
  readonly notices: NoticeEvent[] = [];
  readonly #options: WorldOptions;
  readonly #folder: TemporaryDirectory;
  readonly #clients: PullClient[] = [];
  readonly #watchers = new Set<() => void>();
  #app: Awaited<ReturnType<typeof startApp>> | undefined;

  private constructor(options: WorldOptions, registries: readonly ScriptedRegistry[], folder: TemporaryDirectory) {
    this.#options = options;
    const [registry, ...mirrors] = registries;
    if (registry === undefined) throw new Error('a world has a registry');
    this.registry = registry;
    this.mirrors = mirrors;
    this.#folder = folder;
    this.dataFolder = options.dataFolder ?? join(folder.path, 'data');
  }

  static async open(options: WorldOptions): Promise<FaultWorld> {
    const registries = await Promise.all(
      [options.registry, ...(options.mirrors ?? [])].map((each) => ScriptedRegistry.start(each)),
    );
    const world = new FaultWorld(options, registries, await TemporaryDirectory.make());
    await world.#start();
    return world;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#running.listen.port}`;
  }

  get client(): PullClient {
    return this.#clients[0] ?? (this.crowd(1)[0] as PullClient);
  }

  crowd(clients: number): PullClient[] {
    const added = Array.from({ length: clients }, () => new PullClient(this.url));
    this.#clients.push(...added);
    return added;
  }

  until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve) => {
      const look = () => {
        if (!condition()) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
    });
  }

  landed(): Promise<void> {
    return untilUp(async () => (await this.admin.metric('onepull_flights')) === 0, 'the last flight has landed: it');
  }

  get admin(): AdminApi {
    return new AdminApi(`http://127.0.0.1:${this.#running.admin.port}`);
  }

  async restart(): Promise<void> {
    await this.#stop();
    await this.#start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop();
    for (const registry of [this.registry, ...this.mirrors]) await registry[Symbol.asyncDispose]();
    await this.#folder[Symbol.asyncDispose]();
  }

  get #running(): Awaited<ReturnType<typeof startApp>> {
    if (this.#app === undefined) throw new Error('onepull is not running');
    return this.#app;
  }

  async #start(): Promise<void> {
    const { upstream, pull, server, storage } = this.#options;
    const config = configSchema.parse({
      listen: '127.0.0.1:0',
      admin: '127.0.0.1:0',
      storage: { path: this.dataFolder, scrubRate: '0', ...storage },
      upstreams: { 'demo.example': { ...this.#address(), default: true, ...upstream } },
      pull: pull ?? {},
      server: { threads: testThreads, ...server },
    });
    const channels = new Channels();
    channels.flight.subscribe((event) => this.#publish(this.flightEvents, event));
    channels.request.subscribe((event) => this.#publish(this.requestEvents, event));
    channels.notice.subscribe((event) => this.#publish(this.notices, event));
    this.#app = await startApp(config, { channels, env: {}, processMetrics: false });
  }

  #address(): Section {
    if (this.mirrors.length === 0) return { url: this.registry.url };
    return { endpoints: [this.registry, ...this.mirrors].map(({ url }) => url) };
  }

  async #stop(): Promise<void> {
    for (const client of this.#clients.splice(0)) await client[Symbol.asyncDispose]();
    await this.#app?.drain(0);
    await this.#app?.[Symbol.asyncDispose]();
    this.#app = undefined;
  }

  #publish<T>(events: T[], event: T): void {
    events.push(event);
    for (const look of this.#watchers) look();
  }
}

/** The files of fills that are under way or were left. */
export async function fillsIn(dataFolder: string): Promise<string[]> {
  const names = await readdir(join(dataFolder, 'ingest')).catch(() => []);
  return names.filter((name) => /\.(part|json)$/.test(name));
}

export function blobFile(dataFolder: string, digest: Digest): string {
  return join(dataFolder, 'blobs', algorithmOf(digest), hexOf(digest));
}

/** Whether the content is committed, once nothing is under way. */
export async function isKept(world: Pick<World, 'dataFolder' | 'landed'>, digest: Digest): Promise<boolean> {
  await world.landed();
  return (await stat(blobFile(world.dataFolder, digest)).catch(() => undefined)) !== undefined;
}

/** Committed, and with the right bytes. Readers are served to the end before the commit ends, so this waits for it. */
export async function assertKept(world: Pick<World, 'dataFolder' | 'landed'>, { digest }: Content): Promise<void> {
  const { dataFolder } = world;
  await world.landed();
  assert.equal(digestOf(await readFile(blobFile(dataFolder, digest)), algorithmOf(digest)), digest);
}

/** A whole right answer. */
export function assertWhole(download: Download, { digest, bytes }: Content): void {
  const said = download.status >= 300 ? `: ${download.body}` : '';
  assert.equal(download.status, 200, `status ${download.status}${said}`);
  assert.equal(download.outcome, 'complete');
  assert.equal(download.digest, digest);
  assert.equal(download.sizeBytes, bytes.length);
}

/** The error in an answer, which has to be complete and to have the form of distribution-spec "Error Codes". */
export function errorIn(download: Download): {
  status: number;
  code: string;
  message: string;
  retryAfter: string | undefined;
} {
  assert.equal(download.outcome, 'complete', 'an error is cut short');
  const parsed = JSON.parse(download.body.toString()) as { errors: { code: string; message: string }[] };
  const [error] = parsed.errors;
  assert.ok(error !== undefined, 'an error without errors');
  const retryAfter = download.headers['retry-after'];
  return { status: download.status, code: error.code, message: error.message, retryAfter };
}

/** `status CODE`, for comparing what a crowd was told. */
export function told(download: Download): string {
  const { status, code } = errorIn(download);
  return `${status} ${code}`;
}
