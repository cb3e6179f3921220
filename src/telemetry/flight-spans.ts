import type { Digest } from '../core/digest.ts';
import type { Span, Tracing } from '../core/tracing.ts';
import { type Channels, type FlightEvent, isFlightEnd } from './channels.ts';

interface FlightSpansDeps {
  readonly tracing: Tracing;
  readonly channels: Pick<Channels, 'flight'>;
}

/**
 * A span for each flight that a traced request began: below that request, linked with the others that share it.
 *
 * Invariant: a span is kept from when its flight begins until the flight says that it is over, and no longer.
 */
export class FlightSpans {
  readonly #tracing: Tracing;
  readonly #spans = new Map<Digest, Span>();

  constructor({ tracing, channels }: FlightSpansDeps) {
    this.#tracing = tracing;
    channels.flight.subscribe((event) => this.#heard(event));
  }

  /** `enter` begins the flight (`isNew`) or joins it: what it sets off is the flight's work, whoever caused it. */
  entering<T>(digest: Digest, isNew: boolean, enter: () => T): T {
    const asker = this.#tracing.current();
    const known = isNew ? undefined : this.#spans.get(digest);
    const facts = { name: 'flight', kind: 'internal', attributes: { 'onepull.digest': digest } } as const;
    const span = known ?? (isNew ? this.#tracing.begin(facts) : undefined);
    if (span === undefined) return enter();
    if (isNew) this.#spans.set(digest, span);
    else if (asker !== undefined) span.link(asker);
    try {
      return this.#tracing.within(span, enter);
    } catch (error) {
      // What could not begin will not end either.
      if (isNew) this.#spans.delete(digest);
      throw error;
    }
  }

  #heard({ digest, event, errorCode, message, ...facts }: FlightEvent): void {
    // What is only passed through has no span of its own, and ends none.
    if (!isFlightEnd(event) || facts.notKept !== undefined) return;
    const span = this.#spans.get(digest);
    if (span === undefined) return;
    this.#spans.delete(digest);
    span.set({
      'onepull.flight.end': event,
      'onepull.flight.size': facts.sizeBytes,
      'onepull.flight.filled': facts.filledBytes,
      'onepull.flight.readers': facts.readers,
      'onepull.flight.received': facts.receivedBytes,
      'onepull.flight.kept': facts.keptBytes,
      'onepull.flight.source': facts.source,
      'onepull.flight.endpoint': facts.endpoint,
      'error.type': errorCode,
      'onepull.flight.message': message,
    });
    span.end();
  }
}
