import type { Clock } from '../core/clock.ts';
import type { Channels, PeerRefusedEvent } from '../telemetry/channels.ts';

export interface PeerRefusalsDeps {
  readonly clock: Clock;
  readonly channels: Pick<Channels, 'notice' | 'peerRefused'>;
}

const againAfterMs = 60_000;
const mostRemembered = 256;

/**
 * Nodes that do not let each other in: each time is counted, and said in the log once a minute for each of them, for every blob
 * that is wanted finds it out anew.
 */
export class PeerRefusals {
  readonly #deps: PeerRefusalsDeps;
  readonly #said = new Map<string, number>();

  constructor(deps: PeerRefusalsDeps) {
    this.#deps = deps;
  }

  /** `address`: the other node's. */
  tell(reason: PeerRefusedEvent['reason'], address: string, message: string, problem?: string): void {
    const { clock, channels } = this.#deps;
    channels.peerRefused.publish({ reason });
    const [key, nowMs] = [`${reason} ${address}`, clock.monotonic()];
    const saidMs = this.#said.get(key);
    if (saidMs !== undefined && nowMs - saidMs < againAfterMs) return;
    this.#said.delete(key);
    const [oldest] = this.#said.keys();
    if (this.#said.size >= mostRemembered && oldest !== undefined) this.#said.delete(oldest);
    this.#said.set(key, nowMs);
    const fields = { event: 'peer-refused', reason, address, ...(problem === undefined ? {} : { problem }) };
    channels.notice.publish({ level: 'warn', message, fields });
  }
}
