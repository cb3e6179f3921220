import type { MessagePort } from 'node:worker_threads';
import type { NoticeEvent, RequestEvent, TracedRequest } from '../../telemetry/channels.ts';
import type { ThreadQuestion, ThreadReport, ThreadTelemetryOptions } from '../../telemetry/thread-telemetry.ts';
import type { GatewayOptions } from '../server.ts';
import type { ServerCertificate } from '../tls/tls-front.ts';
import type { PlainError } from './messages.ts';

/** What a gateway's thread is started with. */
export interface ThreadData {
  /** A number from 0. */
  readonly gateway: number;
  readonly options: GatewayOptions;
  readonly names: { readonly registries: readonly string[]; readonly fallback: string | undefined };
  readonly log: ThreadTelemetryOptions;
  /** Also say each request and notice: for a main thread without a log. */
  readonly saysEvents: boolean;
  /** To the depot. */
  readonly depot: MessagePort;
  /** Of `SharedCounts`. */
  readonly counts: SharedArrayBuffer;
  /** Of the depot's `ChangeCount`. */
  readonly changes: SharedArrayBuffer;
}

export type ToThread =
  | { readonly kind: 'listen'; readonly port: number }
  | { readonly kind: 'certificate'; readonly certificate: ServerCertificate }
  | { readonly kind: 'drain'; readonly timeoutMs: number }
  | { readonly kind: 'telemetry'; readonly question: ThreadQuestion }
  /** For tests: it dies of it. */
  | { readonly kind: 'break'; readonly how: Breakage };

export type Breakage = 'throw' | 'reject' | 'exit' | 'hang';

export type FromThread =
  | { readonly kind: 'listening'; readonly host: string; readonly port: number }
  | { readonly kind: 'listen-failed'; readonly error: PlainError }
  /** The last word. */
  | { readonly kind: 'drained' }
  | { readonly kind: 'report'; readonly report: ThreadReport }
  | { readonly kind: 'request'; readonly event: RequestEvent }
  | { readonly kind: 'traced'; readonly request: TracedRequest }
  | { readonly kind: 'notice'; readonly event: Omit<NoticeEvent, 'error'>; readonly error: PlainError | undefined };
