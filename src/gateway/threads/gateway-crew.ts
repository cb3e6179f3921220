import type { Clock, Timer } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import type { Channels } from '../../telemetry/channels.ts';
import type { ThreadTelemetryOptions } from '../../telemetry/thread-telemetry.ts';
import type { Gateway } from '../gateway.ts';
import type { GatewayOptions } from '../server.ts';
import { SharedCounts } from '../shared-counts.ts';
import type { ServerCertificate } from '../tls/tls-front.ts';
import { GatewayWorker, type GatewayWorkerDeps, type ThreadEnd } from './gateway-worker.ts';
import { PortClaim } from './port-claim.ts';
import type { Breakage, ThreadData } from './thread-messages.ts';

export interface GatewayCrewDeps extends GatewayWorkerDeps {
  readonly clock: Clock;
  readonly channels: Pick<Channels, 'request' | 'tracedRequest' | 'notice'>;
  /** A gateway is gone: what it held in shared memory is to be written off. */
  forget(gateway: number): void;
}

export interface GatewayCrewOptions {
  /** At least one. */
  readonly threads: number;
  readonly gateway: GatewayOptions;
  readonly names: ThreadData['names'];
  readonly log: ThreadTelemetryOptions;
  /** Of the depot's `ChangeCount`. */
  readonly changes: SharedArrayBuffer;
  /** Publish what threads publish (requests, notices) on the channels here: where no log takes their lines. */
  readonly saysEvents: boolean;
}

/** One place in the crew: the thread that has it, or the pause before the next one. */
interface Place {
  worker: GatewayWorker | undefined;
  pause: Timer | undefined;
  startedMs: number;
  /** How often in a row a thread died soon after its start. */
  earlyDeaths: number;
}

/** A thread that lived so long had nothing to do with the death of the one before it. */
const settledAfterMs = 10_000;
const pauseMs = { first: 100, most: 5_000 };
/** So much longer than it was given a thread may take to say that it has drained, and then to end. */
const graceMs = 2_000;

/**
 * Gateways in threads of their own, all listening on one port, among which the kernel shares new connections.
 *
 * Invariants
 * - Once `listen` has resolved each place has a thread, or a pause after which it gets one, until `drain`. After a death the
 *   next thread comes at once; where that dies early as well, after pauses that double.
 * - A thread that dies takes its own connections along and nothing else: the others go on, the depot lets go of what it held
 *   (`DepotHost`), and its counts and leases are written off when none of its code runs any more, before the next one starts.
 * - The port stays ours as long as one thread listens: where the only one dies, another program may take it before the next
 *   one listens, which is then tried again and said.
 * - After `drain` no thread is left.
 */
export class GatewayCrew implements Gateway {
  readonly #deps: GatewayCrewDeps;
  readonly #options: GatewayCrewOptions;
  readonly #counts: SharedCounts;
  readonly #places: readonly Place[];
  #address: { host: string; port: number } | undefined;
  #certificate: ServerCertificate | undefined;
  #replaced = 0;
  #drained: Promise<void> | undefined;

  constructor(deps: GatewayCrewDeps, options: GatewayCrewOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#certificate = options.gateway.certificate;
    this.#counts = new SharedCounts(new SharedArrayBuffer(SharedCounts.bytesFor(options.threads)));
    this.#places = Array.from({ length: options.threads }, () => ({
      worker: undefined,
      pause: undefined,
      startedMs: 0,
      earlyDeaths: 0,
    }));
  }

  /** Threads that run, and how many took the place of one that had died. */
  get threads(): { readonly running: number; readonly replaced: number } {
    const running = this.#places.filter(({ worker }) => worker !== undefined).length;
    return { running, replaced: this.#replaced };
  }

  load(): { readonly responses: number; readonly queuedBytes: number } {
    const { responses, queuedKiB } = this.#counts.of(0);
    return { responses: responses.total, queuedBytes: queuedKiB.total * 1024 };
  }

  async listen(): Promise<{ host: string; port: number }> {
    const { host, port } = this.#options.gateway;
    try {
      const claim = port === 0 ? undefined : await PortClaim.take({ host, port }, this.#deps.clock, never);
      const workers = this.#places.map((place, gateway) => this.#start(place, gateway));
      const [first, ...others] = workers;
      if (first === undefined) throw new Error('a crew has at least one thread');
      try {
        // Where any port will do, the kernel gives the first one a port that nobody has.
        this.#address = await first.listen(port);
      } finally {
        await claim?.[Symbol.asyncDispose]();
      }
      const address = this.#address;
      await Promise.all(others.map((worker) => worker.listen(address.port)));
      return address;
    } catch (error) {
      await this.drain(0);
      throw error;
    }
  }

  useCertificate(certificate: ServerCertificate): void {
    this.#certificate = certificate;
    for (const { worker } of this.#places) worker?.useCertificate(certificate);
  }

  drain(timeoutMs: number): Promise<void> {
    const workers = this.#places.flatMap(({ worker }) => (worker === undefined ? [] : [worker]));
    this.#drained ??= this.#drainOnce(workers);
    for (const worker of workers) worker.drain(timeoutMs);
    const limit = this.#deps.clock.after(timeoutMs + graceMs, () => {
      for (const worker of workers) void worker.terminate();
    });
    return this.#drained.finally(() => limit.clear());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain(0);
  }

  /** For tests: what a fault in one gateway does. */
  breakDown(gateway: number, how: Breakage): void {
    this.#places[gateway]?.worker?.breakDown(how);
  }

  async #drainOnce(workers: readonly GatewayWorker[]): Promise<void> {
    for (const place of this.#places) {
      place.pause?.clear();
      place.pause = undefined;
    }
    await Promise.all(workers.map(({ ended }) => ended));
  }

  #start(place: Place, gateway: number): GatewayWorker {
    const { names, log, changes, saysEvents } = this.#options;
    const options = { ...this.#options.gateway, certificate: this.#certificate };
    const counts = this.#counts.shared;
    const worker = new GatewayWorker(this.#deps, { gateway, options, names, log, saysEvents, counts, changes });
    place.worker = worker;
    place.startedMs = this.#deps.clock.monotonic();
    void worker.ended.then((end) => this.#ended(place, gateway, end));
    return worker;
  }

  #ended(place: Place, gateway: number, end: ThreadEnd): void {
    place.worker = undefined;
    this.#counts.forget(gateway);
    this.#deps.forget(gateway);
    if (this.#drained !== undefined || this.#address === undefined) return;
    const error = end.error ?? new AppError('INTERNAL', `it ended with exit code ${end.exitCode}`);
    this.#replaceLater(place, gateway, 'a gateway has died; another one takes its place', error);
  }

  #replaceLater(place: Place, gateway: number, message: string, error: unknown): void {
    const { clock, channels } = this.#deps;
    const livedMs = clock.monotonic() - place.startedMs;
    place.earlyDeaths = livedMs < settledAfterMs ? place.earlyDeaths + 1 : 0;
    const waitMs = place.earlyDeaths <= 1 ? 0 : Math.min(pauseMs.most, pauseMs.first * 2 ** (place.earlyDeaths - 2));
    const fields = { event: 'gateway-died', gateway, replacedAfterMs: waitMs };
    channels.notice.publish({ level: 'error', message, error, fields });
    place.pause = clock.after(waitMs, () => void this.#replace(place, gateway));
  }

  /** Never rejects. */
  async #replace(place: Place, gateway: number): Promise<void> {
    place.pause = undefined;
    this.#replaced++;
    const worker = this.#start(place, gateway);
    try {
      await worker.listen(this.#address?.port ?? 0);
    } catch (error) {
      // One that has died by itself is seen to where it ends.
      const fields = { event: 'gateway-cannot-listen', gateway };
      this.#deps.channels.notice.publish({ level: 'error', message: 'a gateway cannot listen', error, fields });
      await worker.terminate();
    }
  }
}

const never = new AbortController().signal;
