import type { Holder, NodeId } from '../cluster/coordinator.ts';
import type { Clock } from '../core/clock.ts';
import type { Digest } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import type { Source, SourceBody, SourceRequest } from '../flights/source.ts';

export interface SharePeersDeps {
  readonly clock: Clock;
  /** A holder as a source. */
  readonly peer: (holder: Holder, digest: Digest) => Source;
  /** Whether the node is there, as far as nodes hear of each other; undefined where nobody knows. */
  readonly isThere: (node: NodeId) => boolean | undefined;
  /** A node did not work out, and is no parent any more if it was one. */
  readonly lost: (holder: Holder, error: AppError, wasParent: boolean) => void;
}

export interface SharePeersOptions {
  /** So long a node that was of no use is left alone. */
  readonly avoidMs: number;
  /** A node that brought something within this time is there, whatever is heard of it. */
  readonly freshMs: number;
}

/** A node that was named as a holder. Its source stays the same one for the flight, which remembers what it did. */
interface Peer {
  holder: Holder;
  readonly source: Source;
  isParent: boolean;
  /** When it last brought something. */
  broughtAtMs: number;
  /** Ends what is read from it now. */
  gone: AbortController;
}

/**
 * The nodes that one fill has heard of: who is read from, and who was of no use and is left alone for a while.
 *
 * Invariants: a parent is one from `follow` until it fails (`lost` is told), or until nobody hears of it while it brings
 * nothing: then what is read from it ends as if it had failed. Whoever is lost is avoided, wrong ones for good.
 */
export class SharePeers {
  readonly #deps: SharePeersDeps;
  readonly #options: SharePeersOptions;
  readonly #digest: Digest;
  readonly #peers = new Map<NodeId, Peer>();
  readonly #avoided = new Map<NodeId, { readonly untilMs: number; readonly isGone: boolean }>();

  constructor(deps: SharePeersDeps, options: SharePeersOptions, digest: Digest) {
    this.#deps = deps;
    this.#options = options;
    this.#digest = digest;
  }

  get parents(): readonly NodeId[] {
    return this.#parents.map(({ holder }) => holder.node);
  }

  /** Who is not to be named, and who of these is as good as gone. */
  avoided(): { readonly avoid: readonly NodeId[]; readonly gone: readonly NodeId[] } {
    const nowMs = this.#deps.clock.monotonic();
    for (const [node, { untilMs }] of this.#avoided) if (untilMs <= nowMs) this.#avoided.delete(node);
    const avoid = [...this.#avoided.keys()];
    return { avoid, gone: avoid.filter((node) => this.#avoided.get(node)?.isGone === true) };
  }

  isParent(source: Source): boolean {
    return this.#parents.some((parent) => parent.source.name === source.name);
  }

  /** It is a parent from now on. Returns it as a source. */
  follow(holder: Holder): Source {
    const peer = this.#peers.get(holder.node) ?? this.#meet(holder);
    peer.holder = holder;
    peer.isParent = true;
    if (peer.gone.signal.aborted) peer.gone = new AbortController();
    return peer.source;
  }

  /** Nobody is a parent any more. */
  leaveAll(): void {
    for (const peer of this.#parents) peer.isParent = false;
  }

  /** The node is left alone for a while, at least. `isGone`: what it has in office counts for nothing. */
  avoid(node: NodeId, avoidMs: number, isGone: boolean): void {
    const untilMs = Math.max(this.#deps.clock.monotonic() + avoidMs, this.#avoided.get(node)?.untilMs ?? 0);
    this.#avoided.set(node, { untilMs, isGone });
  }

  /** Parents that nobody hears of any more, and that bring nothing, are not waited for. */
  doubt(): void {
    const nowMs = this.#deps.clock.monotonic();
    for (const { holder, gone, broughtAtMs } of this.#parents) {
      const isSilent = nowMs - broughtAtMs >= this.#options.freshMs;
      if (isSilent && this.#deps.isThere(holder.node) === false) gone.abort(goneError(holder));
    }
  }

  get #parents(): Peer[] {
    return [...this.#peers.values()].filter(({ isParent }) => isParent);
  }

  #meet(holder: Holder): Peer {
    const inner = this.#deps.peer(holder, this.#digest);
    const source: Source = {
      name: inner.name,
      origin: inner.origin,
      isPeer: true,
      standing: () => inner.standing(),
      open: (request, signal) => this.#open(peer, inner, request, signal),
      discredit: (error) => {
        inner.discredit(error);
        this.#lose(peer, error, Number.POSITIVE_INFINITY);
      },
      failed: (error) => {
        inner.failed?.(error);
        this.#lose(peer, error, this.#options.avoidMs);
      },
    };
    const peer: Peer = {
      holder,
      source,
      isParent: false,
      broughtAtMs: Number.NEGATIVE_INFINITY,
      gone: new AbortController(),
    };
    this.#peers.set(holder.node, peer);
    return peer;
  }

  #lose(peer: Peer, error: AppError, avoidMs: number): void {
    const { holder, isParent } = peer;
    this.avoid(holder.node, avoidMs, error.code === 'UPSTREAM_UNREACHABLE');
    if (isParent) {
      peer.isParent = false;
      peer.gone.abort(error);
    }
    this.#deps.lost(holder, error, isParent);
  }

  /** The source's answer and its body, until the peer is gone: then they fail with the reason. */
  async #open(peer: Peer, inner: Source, request: SourceRequest, signal: AbortSignal): Promise<SourceBody> {
    const gone = peer.gone.signal;
    try {
      const body = await inner.open(request, AbortSignal.any([signal, gone]));
      return { ...body, chunks: this.#chunks(peer, body.chunks, gone) };
    } catch (error) {
      throw gone.aborted ? gone.reason : error;
    }
  }

  async *#chunks(peer: Peer, chunks: AsyncIterable<Uint8Array>, gone: AbortSignal): AsyncGenerator<Uint8Array> {
    const { clock } = this.#deps;
    try {
      for await (const chunk of chunks) {
        peer.broughtAtMs = clock.monotonic();
        yield chunk;
      }
    } catch (error) {
      throw gone.aborted ? gone.reason : error;
    }
  }
}

function goneError({ node }: Holder): AppError {
  return new AppError('UPSTREAM_UNREACHABLE', `${node} was not heard of for a while`);
}
