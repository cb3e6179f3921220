import type { IncomingHttpHeaders } from 'node:http';
import type { Digest } from '../../core/digest.ts';
import type { RequestKind } from './route.ts';

/** One request as it came, and the status it was answered with (0 until then). */
export interface RequestRecord {
  readonly kind: RequestKind;
  readonly method: string;
  readonly repository: string;
  readonly reference: string;
  readonly headers: IncomingHttpHeaders;
  status: number;
}

/** One response body as it went out. */
export interface BodyRecord {
  readonly digest: Digest;
  /** Where in the content it begins. */
  readonly start: number;
  /** Bytes handed to the socket. A client that left may have received a little less. */
  sentBytes: number;
  state: 'open' | 'complete' | 'cut';
}

export interface Concurrency {
  readonly current: number;
  readonly max: number;
}

export type RequestFilter = Partial<Pick<RequestRecord, 'kind' | 'method' | 'repository' | 'reference' | 'status'>>;

/**
 * What a server was asked for and what it sent. Bytes are those of content (manifests and blobs, neither headers nor error
 * documents), counted when they are handed to the socket: of a body that its client left, a little may never have arrived.
 */
export class Tally {
  #requests: RequestRecord[] = [];
  #bodies: BodyRecord[] = [];
  #totalBytes = 0;
  readonly #concurrency = new Map<Digest, { current: number; max: number }>();
  readonly #watchers = new Set<() => void>();

  /** The requests so far that are all that `filter` says, in order. */
  requests(filter: RequestFilter = {}): readonly RequestRecord[] {
    const wanted = Object.entries(filter) as [keyof RequestFilter, unknown][];
    return this.#requests.filter((request) => wanted.every(([name, value]) => request[name] === value));
  }

  count(filter: RequestFilter = {}): number {
    return this.requests(filter).length;
  }

  /** Body bytes sent, of one content or of all. */
  bytesSent(digest?: Digest): number {
    if (digest === undefined) return this.#totalBytes;
    return this.bodies(digest).reduce((total, body) => total + body.sentBytes, 0);
  }

  /** The bodies of one content, or of all, in order. */
  bodies(digest?: Digest): readonly BodyRecord[] {
    return digest === undefined ? this.#bodies : this.#bodies.filter((body) => body.digest === digest);
  }

  /** Bytes of one content that were sent more than once: what P1 says must be 0. */
  repeatedBytes(digest: Digest): number {
    let [reached, repeated] = [0, 0];
    const bodies = [...this.bodies(digest)].sort((a, b) => a.start - b.start);
    for (const { start, sentBytes } of bodies) {
      repeated += Math.max(0, Math.min(reached, start + sentBytes) - start);
      reached = Math.max(reached, start + sentBytes);
    }
    return repeated;
  }

  /** Bodies of one content under way at the same time. */
  concurrency(digest: Digest): Concurrency {
    return { ...(this.#concurrency.get(digest) ?? { current: 0, max: 0 }) };
  }

  /** Resolves as soon as `condition` holds; looked at whenever something is counted. */
  until(condition: (tally: Tally) => boolean): Promise<void> {
    if (condition(this)) return Promise.resolve();
    return new Promise((resolve) => {
      const look = () => {
        if (!condition(this)) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
    });
  }

  /** Starts from zero; bodies under way go on being counted in `concurrency` only. */
  reset(): void {
    this.#requests = [];
    this.#bodies = [];
    this.#totalBytes = 0;
    for (const concurrency of this.#concurrency.values()) concurrency.max = concurrency.current;
  }

  request(record: RequestRecord): void {
    this.#requests.push(record);
    this.#changed();
  }

  answered(record: RequestRecord, status: number): void {
    record.status = status;
    this.#changed();
  }

  bodyStarted(digest: Digest, start: number): BodyRecord {
    const body: BodyRecord = { digest, start, sentBytes: 0, state: 'open' };
    this.#bodies.push(body);
    const concurrency = this.#concurrency.get(digest) ?? { current: 0, max: 0 };
    this.#concurrency.set(digest, concurrency);
    concurrency.current++;
    concurrency.max = Math.max(concurrency.max, concurrency.current);
    this.#changed();
    return body;
  }

  bodySent(body: BodyRecord, bytes: number): void {
    body.sentBytes += bytes;
    this.#totalBytes += bytes;
    this.#changed();
  }

  bodyEnded(body: BodyRecord, state: 'complete' | 'cut'): void {
    body.state = state;
    const concurrency = this.#concurrency.get(body.digest);
    if (concurrency !== undefined) concurrency.current--;
    this.#changed();
  }

  #changed(): void {
    for (const look of this.#watchers) look();
  }
}
