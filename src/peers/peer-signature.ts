import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../core/clock.ts';

/** What is signed of a request: all that decides what it asks. */
export interface SignedRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly range: string | undefined;
  /** Who asks. */
  readonly node: string;
  /** Who is asked: the address at which it says that it is reached. So nobody can hand on what was meant for him. */
  readonly to: string;
}

interface Credentials extends Pick<SignedRequest, 'node'> {
  readonly nonce: string;
  /** How many requests were signed with the nonce before, and one. */
  readonly count: number;
  readonly signature: string;
}

const scheme = 'Onepull-Peer';
const nonceMs = 300_000;
/** Of requests that are on their way at once the later may come first, by so many. */
const windowCounts = 1024;
const mostNonces = 4096;

function sign(secret: string, request: SignedRequest, nonce: string, count: number): string {
  const { method, target, range = '', node, to } = request;
  const text = [scheme, method, target, range, node, to, nonce, String(count)].join('\n');
  return createHmac('sha256', secret).update(text).digest('base64url');
}

/** One node's way to sign what it asks another one: with the nonce that the other one gave (as HTTP Digest does, RFC 7616). */
export class PeerSigner {
  readonly #secret: string;
  #nonce: string | undefined;
  #count = 0;

  constructor(secret: string) {
    this.#secret = secret;
  }

  /** For the header Authorization; undefined while there is no nonce: then the other one is to be asked for one. */
  authorization(request: SignedRequest): string | undefined {
    const nonce = this.#nonce;
    if (nonce === undefined) return undefined;
    const count = ++this.#count;
    const signature = sign(this.#secret, request, nonce, count);
    return `${scheme} node="${request.node}", nonce="${nonce}", count=${count}, signature="${signature}"`;
  }

  /** Takes the nonce of a header WWW-Authenticate. Returns whether there is one, and it is another one. */
  challenged(header: string | undefined): boolean {
    const nonce = header?.startsWith(`${scheme} `) ? /nonce="([^"]+)"/.exec(header)?.[1] : undefined;
    if (nonce === undefined || nonce === this.#nonce) return false;
    this.#nonce = nonce;
    this.#count = 0;
    return true;
  }
}

/**
 * Whether requests come from somebody who knows the secret, each of them once.
 *
 * Invariants: a nonce counts for `nonceMs` by this node's own clock, so no two clocks are compared; it is known as ours by its
 * own signature, and takes memory only once somebody who knows the secret has used it. A count is accepted once; one too far
 * behind the highest is not. Memory is bounded: a nonce that is forgotten for lack of room is not accepted any more. What was
 * signed for another node is not accepted either: whoever a directory that lies leads nodes to gets nothing to use elsewhere.
 */
export class PeerVerifier {
  readonly #clock: Clock;
  readonly #secret: string;
  readonly #address: () => string;
  /** Of this run only: nonces of an earlier one are none. */
  readonly #own = randomBytes(32);
  readonly #seen = new Map<string, { readonly untilMs: number; highest: number; readonly counts: Set<number> }>();
  /** Nonces from before are refused: of those that were forgotten nobody knows what was seen. */
  #earliestMs = Number.NEGATIVE_INFINITY;

  /** `address`: where peers reach this node, as the directory says. */
  constructor(clock: Clock, secret: string, address: () => string) {
    this.#clock = clock;
    this.#secret = secret;
    this.#address = address;
  }

  /** For the header WWW-Authenticate. */
  challenge(): string {
    const body = `${Math.floor(this.#clock.monotonic())}.${randomBytes(9).toString('base64url')}`;
    return `${scheme} nonce="${body}.${this.#seal(body)}"`;
  }

  /** The node that asks, or undefined: it has not shown that it is one. */
  verified(header: string | undefined, request: Omit<SignedRequest, 'node' | 'to'>): string | undefined {
    const given = parsed(header);
    if (given === undefined || !this.#isCurrent(given.nonce)) return undefined;
    const { node, nonce, count, signature } = given;
    if (!isSame(signature, sign(this.#secret, { ...request, node, to: this.#address() }, nonce, count)))
      return undefined;
    return this.#isFirst(nonce, count) ? node : undefined;
  }

  #isCurrent(nonce: string): boolean {
    const [ms = '', random = '', seal = ''] = nonce.split('.');
    if (!isSame(seal, this.#seal(`${ms}.${random}`))) return false;
    const madeMs = Number(ms);
    return madeMs > this.#clock.monotonic() - nonceMs && (madeMs > this.#earliestMs || this.#seen.has(nonce));
  }

  #isFirst(nonce: string, count: number): boolean {
    const nowMs = this.#clock.monotonic();
    let seen = this.#seen.get(nonce);
    if (seen === undefined) {
      this.#makeRoom(nowMs);
      seen = { untilMs: nowMs + nonceMs, highest: 0, counts: new Set() };
      this.#seen.set(nonce, seen);
    }
    if (count <= seen.highest - windowCounts || seen.counts.has(count)) return false;
    seen.counts.add(count);
    seen.highest = Math.max(seen.highest, count);
    if (seen.counts.size > 2 * windowCounts) {
      for (const old of seen.counts) if (old <= seen.highest - windowCounts) seen.counts.delete(old);
    }
    return true;
  }

  #makeRoom(nowMs: number): void {
    if (this.#seen.size < mostNonces) return;
    for (const [nonce, { untilMs }] of this.#seen) if (untilMs <= nowMs) this.#seen.delete(nonce);
    if (this.#seen.size < mostNonces) return;
    this.#seen.clear();
    this.#earliestMs = nowMs;
  }

  #seal(body: string): string {
    return createHmac('sha256', this.#own).update(body).digest('base64url').slice(0, 22);
  }
}

function parsed(header: string | undefined): Credentials | undefined {
  const form = /^Onepull-Peer node="([^"]{1,200})", nonce="([^"]{1,200})", count=(\d{1,15}), signature="([\w-]{43})"$/;
  const found = header === undefined ? null : form.exec(header);
  if (found === null) return undefined;
  const [, node = '', nonce = '', count, signature = ''] = found;
  return { node, nonce, count: Number(count), signature };
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}
