import { MessageChannel, Worker } from 'node:worker_threads';
import type { AppError } from '../../core/errors.ts';
import { asAppError } from '../../core/errors.ts';
import type { Channels } from '../../telemetry/channels.ts';
import type { ThreadInbox, ThreadReports } from '../../telemetry/thread-reports.ts';
import type { ServerCertificate } from '../tls/tls-front.ts';
import { DepotHost, type DepotHostDeps } from './depot-host.ts';
import { errorOf } from './messages.ts';
import type { Breakage, FromThread, ThreadData, ToThread } from './thread-messages.ts';

export interface GatewayWorkerDeps extends DepotHostDeps {
  readonly reports: ThreadReports;
  /** What the thread says when it has been told to say events. */
  readonly channels: Pick<Channels, 'request' | 'tracedRequest' | 'notice'>;
}

/** How a thread ended. */
export interface ThreadEnd {
  /** It had drained, as it was told to. */
  readonly drained: boolean;
  readonly error: AppError | undefined;
  readonly exitCode: number;
}

const entry = new URL(import.meta.url.endsWith('.ts') ? './gateway-thread.ts' : './gateway-thread.js', import.meta.url);

/**
 * One thread with a gateway, from its start to its end.
 *
 * Invariants: `ended` resolves once, whatever becomes of the thread, when none of its code runs any more; by then the depot
 * has let go of all that it held, and its reports are counted as far as they came. No error of the thread is thrown here.
 */
export class GatewayWorker {
  readonly ended: Promise<ThreadEnd>;
  readonly #worker: Worker;
  readonly #host: DepotHost;
  readonly #inbox: ThreadInbox;
  readonly #channels: Pick<Channels, 'request' | 'tracedRequest' | 'notice'>;
  readonly #listening = Promise.withResolvers<{ host: string; port: number }>();
  #drained = false;
  #error: AppError | undefined;

  constructor(deps: GatewayWorkerDeps, data: Omit<ThreadData, 'depot'>) {
    const { port1, port2 } = new MessageChannel();
    const name = `gateway-${data.gateway}`;
    const workerData: ThreadData = { ...data, depot: port2 };
    const worker = new Worker(entry, { name, workerData, transferList: [port2] });
    this.#worker = worker;
    this.#host = new DepotHost(deps, port1);
    this.#channels = deps.channels;
    this.#inbox = deps.reports.open({
      name,
      post: (question) => this.#say({ kind: 'telemetry', question }),
      loopTimes: () => worker.performance.eventLoopUtilization(),
    });
    const ended = Promise.withResolvers<ThreadEnd>();
    this.ended = ended.promise;
    this.#listening.promise.catch(() => {});
    worker.on('message', (message: FromThread) => this.#onMessage(message));
    worker.on('error', (error) => {
      this.#error ??= asAppError(error);
    });
    worker.on('exit', (exitCode) => {
      this.#host[Symbol.dispose]();
      this.#inbox[Symbol.dispose]();
      this.#listening.reject(this.#error ?? asAppError(new Error(`the thread ended with exit code ${exitCode}`)));
      ended.resolve({ drained: this.#drained, error: this.#error, exitCode });
    });
  }

  /** Resolves with the address that it listens on. Rejects with LISTEN_FAILED, or with what it died of. */
  listen(port: number): Promise<{ host: string; port: number }> {
    this.#say({ kind: 'listen', port });
    return this.#listening.promise;
  }

  useCertificate(certificate: ServerCertificate): void {
    this.#say({ kind: 'certificate', certificate });
  }

  drain(timeoutMs: number): void {
    this.#say({ kind: 'drain', timeoutMs });
  }

  /** Ends it, whatever it does. */
  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  breakDown(how: Breakage): void {
    this.#say({ kind: 'break', how });
  }

  #say(message: ToThread): void {
    this.#worker.postMessage(message);
  }

  #onMessage(message: FromThread): void {
    switch (message.kind) {
      case 'listening':
        return this.#listening.resolve({ host: message.host, port: message.port });
      case 'listen-failed':
        return this.#listening.reject(errorOf(message.error));
      case 'drained':
        this.#drained = true;
        return;
      case 'report':
        return this.#inbox.receive(message.report);
      case 'request':
        return this.#channels.request.publish(message.event);
      case 'traced':
        return this.#channels.tracedRequest.publish(message.request);
      case 'notice': {
        const { event, error } = message;
        return this.#channels.notice.publish(error === undefined ? event : { ...event, error: errorOf(error) });
      }
    }
  }
}
