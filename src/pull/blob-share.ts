import type { Coordinator, Holder, NodeId, Standing } from '../cluster/coordinator.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { Digest } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import type { FillShare, FillShareHost } from '../flights/fill-share.ts';
import type { Source, SourceBody, SourceRequest } from '../flights/source.ts';
import type { Channels, ShareEvent } from '../telemetry/channels.ts';

export interface BlobShareDeps {
  readonly clock: Clock;
  readonly coordinator: Pick<Coordinator, 'visit' | 'leave' | 'lost'>;
  /** A holder as a source. */
  readonly peer: (holder: Holder, digest: Digest) => Source;
  /** Whether the node is there, as far as nodes hear of each other; undefined where nobody knows. */
  readonly isThere: (node: NodeId) => boolean | undefined;
  /** Who was there when this node last heard; undefined: it does not hear of others. */
  readonly members: () => readonly NodeId[] | undefined;
  readonly channels?: Pick<Channels, 'share'> | undefined;
  /** The fill is over, whether it had begun or not. Told once, before the farewell. */
  readonly ended?: () => void;
}

export interface BlobShareOptions {
  /** So often others are told how far it is, and it is looked whether those that it reads from are still there. */
  readonly reportMs: number;
  /** So long a leader is waited for of whom nothing can be had, before another one takes its place; then so long for that one. */
  readonly patienceMs: number;
  /** So often it is asked meanwhile who may be read from. */
  readonly askAgainMs: number;
  /** So long a node that was of no use is left alone. */
  readonly avoidMs: number;
}

export const blobShareDefaults: BlobShareOptions = {
  reportMs: 1000,
  patienceMs: 2000,
  askAgainMs: 200,
  avoidMs: 10_000,
};

type State =
  /** Not begun, or asking who brings it: nobody may be asked for bytes before that is answered. */
  | { readonly kind: 'asking' }
  /** It is the one that asks upstream. */
  | { readonly kind: 'leads'; readonly token: string }
  /** It reads from other nodes. */
  | { readonly kind: 'follows' }
  /** Another node leads, of whom nothing can be had. */
  | { readonly kind: 'waits'; readonly leader: NodeId; readonly sinceMs: number }
  /** It asks upstream without a lease: there is no engine, or nobody who could be waited for. */
  | { readonly kind: 'alone' }
  | { readonly kind: 'over' };

/** A node that was named as a holder. Its source stays the same one for the flight, which remembers what it did. */
interface Peer {
  holder: Holder;
  readonly source: Source;
  isParent: boolean;
  /** Ends what is read from it now. */
  gone: AbortController;
}

/**
 * One fill's place among the nodes that share an engine.
 *
 * Invariants
 * - Upstream may be asked while it leads or is alone, a node while it is a parent; `#move` alone changes either, and tells the
 *   flight. Once upstream may be asked that stays so: what has begun there is finished (P11).
 * - At most one visit is under way. What happens meanwhile is looked at when it ends (`#again`).
 * - It always decides: a visit ends within the engine's bound, waiting within twice `patienceMs`; a parent that fails, or that
 *   nodes have not heard of, is a parent no longer, and without any it asks anew.
 * - A leader who was waited for in vain is deposed: of all who waited one leads then, and the others follow. Only where nothing
 *   can be had of that one either this node is alone.
 * - After `end` nothing is told to the flight, and nothing of this is left but the farewell under way.
 *
 * Who may die: the engine (then it is alone), a parent (its source fails, or it is not heard of any more), the leader, whom
 * this node may then follow in office. What the engine says may be old or wrong: a parent that has nothing is avoided for a
 * while, and reported where it was said to have all. Content outlives its nodes in the directory by a day: who is not heard of is not
 * dialled for it, or a fill would try every node that there ever was, one after the other.
 */
export class BlobShare implements FillShare {
  readonly #deps: BlobShareDeps;
  readonly #options: BlobShareOptions;
  readonly #digest: Digest;
  readonly #peers = new Map<NodeId, Peer>();
  readonly #avoid = new Map<NodeId, { readonly untilMs: number; readonly isGone: boolean }>();
  #host: FillShareHost | undefined;
  #state: State = { kind: 'asking' };
  #hasFollowed = false;
  #hasDeposed = false;
  /** The engine names nodes that are not there: it is told who is. */
  #tellsMembers = false;
  #isVisiting = false;
  #again = false;
  #timer: Timer | undefined;

  constructor(deps: BlobShareDeps, options: BlobShareOptions, digest: Digest) {
    this.#deps = deps;
    this.#options = options;
    this.#digest = digest;
  }

  get state(): State['kind'] {
    return this.#state.kind;
  }

  get parents(): readonly NodeId[] {
    return this.#parents.map(({ holder }) => holder.node);
  }

  get isUndecided(): boolean {
    const { kind } = this.#state;
    return kind === 'asking' || kind === 'waits' || kind === 'follows';
  }

  get waitingFor(): string {
    return this.#state.kind === 'waits' ? `${this.#state.leader}, which asks upstream` : 'the other nodes';
  }

  allows(source: Source): boolean {
    const { kind } = this.#state;
    if (source.isPeer !== true) return kind === 'leads' || kind === 'alone';
    return this.#parents.some((parent) => parent.source.name === source.name);
  }

  start(host: FillShareHost): void {
    if (this.#state.kind === 'over') return;
    this.#host = host;
    this.#visit();
  }

  end(isComplete: boolean): void {
    if (this.#state.kind === 'over') return;
    const token = this.#token;
    const wasHeard = this.#host !== undefined;
    this.#move({ kind: 'over' });
    this.#timer?.clear();
    for (const peer of this.#parents) peer.isParent = false;
    this.#deps.ended?.();
    // A farewell that nobody hears is made good by time: what is not renewed does not count for long.
    if (wasHeard) this.#deps.coordinator.leave(this.#digest, { token, isComplete }).catch(() => {});
  }

  get #parents(): Peer[] {
    return [...this.#peers.values()].filter(({ isParent }) => isParent);
  }

  get #token(): string | undefined {
    return this.#state.kind === 'leads' ? this.#state.token : undefined;
  }

  get #seeks(): boolean {
    return this.#state.kind === 'asking' || this.#state.kind === 'waits';
  }

  /** Tells how far it is, and asks where that is needed. */
  #visit(): void {
    const host = this.#host;
    if (host === undefined || this.#state.kind === 'over') return;
    if (this.#isVisiting) {
      this.#again = true;
      return;
    }
    this.#timer?.clear();
    this.#isVisiting = true;
    const nowMs = this.#deps.clock.monotonic();
    for (const [node, { untilMs }] of this.#avoid) if (untilMs <= nowMs) this.#avoid.delete(node);
    const { prefixBytes, sizeBytes } = host;
    const avoid = [...this.#avoid.keys()];
    const gone = avoid.filter((node) => this.#avoid.get(node)?.isGone === true);
    const asked = { seeks: this.#seeks, parents: this.parents, token: this.#token };
    const among = asked.seeks && this.#tellsMembers ? this.#deps.members() : undefined;
    this.#deps.coordinator.visit(this.#digest, { prefixBytes, sizeBytes, ...asked, avoid, gone, among }).then(
      (standing) => this.#visited(standing, asked.seeks),
      () => this.#visited(undefined, asked.seeks),
    );
  }

  #visited(standing: Standing | undefined, sought: boolean): void {
    this.#isVisiting = false;
    if (this.#state.kind === 'over') return;
    if (sought && this.#seeks) this.#decide(standing);
    else if (standing?.kind === 'noted' && this.#state.kind === 'leads') this.#move({ kind: 'alone' });
    const again = this.#again;
    this.#again = false;
    if (again && this.#seeks) return this.#visit();
    const isSoon = this.#state.kind === 'waits';
    this.#timer?.clear();
    this.#timer = this.#deps.clock.after(isSoon ? this.#options.askAgainMs : this.#options.reportMs, () =>
      this.#look(),
    );
  }

  #decide(standing: Standing | undefined): void {
    switch (standing?.kind) {
      case 'leads':
        return this.#move({ kind: 'leads', token: standing.token });
      case 'follows':
        return this.#isHeardOf(standing.holder) ? this.#follow(standing.holder) : this.#passOver(standing.holder);
      case 'waits':
        return this.#wait(standing.leader);
      default:
        return this.#move({ kind: 'alone' });
    }
  }

  #wait(leader: NodeId): void {
    const nowMs = this.#deps.clock.monotonic();
    const sinceMs = this.#state.kind === 'waits' ? this.#state.sinceMs : nowMs;
    if (nowMs - sinceMs < this.#options.patienceMs) return this.#move({ kind: 'waits', leader, sinceMs });
    if (this.#hasDeposed) return this.#move({ kind: 'alone' });
    this.#hasDeposed = true;
    this.#avoid.set(leader, { untilMs: nowMs + this.#options.avoidMs, isGone: true });
    this.#move({ kind: 'waits', leader, sinceMs: nowMs });
    this.#again = true;
  }

  /** Whether it can have what the directory says it has. Those who bring it may be so new that no beat has told of them. */
  #isHeardOf({ node, isComplete }: Holder): boolean {
    return !isComplete || this.#deps.members()?.includes(node) !== false;
  }

  /** Asks again, for somebody who is there. What the one left behind is nobody's. */
  #passOver({ node }: Holder): void {
    if (this.#deps.isThere(node) === false) this.#deps.coordinator.lost(this.#digest, node).catch(() => {});
    this.#tellsMembers = true;
    this.#again = true;
  }

  #follow(holder: Holder): void {
    const peer = this.#peers.get(holder.node) ?? this.#meet(holder);
    peer.holder = holder;
    peer.isParent = true;
    if (peer.gone.signal.aborted) peer.gone = new AbortController();
    this.#state = { kind: 'follows' };
    if (!this.#hasFollowed) this.#say('follows');
    this.#hasFollowed = true;
    this.#host?.offer(peer.source);
  }

  #meet(holder: Holder): Peer {
    const inner = this.#deps.peer(holder, this.#digest);
    const source: Source = {
      name: inner.name,
      origin: inner.origin,
      isPeer: true,
      standing: () => inner.standing(),
      open: (request, signal) => openUntil(inner, request, signal, peer.gone.signal),
      discredit: (error) => {
        inner.discredit(error);
        this.#lose(peer, error, Number.POSITIVE_INFINITY);
      },
      failed: (error) => {
        inner.failed?.(error);
        this.#lose(peer, error, this.#options.avoidMs);
      },
    };
    const peer: Peer = { holder, source, isParent: false, gone: new AbortController() };
    this.#peers.set(holder.node, peer);
    return peer;
  }

  /** The parent did not work out. */
  #lose(peer: Peer, error: AppError, avoidMs: number): void {
    if (this.#state.kind === 'over') return;
    const { node, isComplete } = peer.holder;
    const isGone = error.code === 'UPSTREAM_UNREACHABLE';
    const untilMs = Math.max(this.#deps.clock.monotonic() + avoidMs, this.#avoid.get(node)?.untilMs ?? 0);
    this.#avoid.set(node, { untilMs, isGone });
    if (isComplete && (isGone || error.code === 'BLOB_UNKNOWN'))
      this.#deps.coordinator.lost(this.#digest, node).catch(() => {});
    if (!peer.isParent) return;
    peer.isParent = false;
    peer.gone.abort(error);
    if (this.#state.kind !== 'follows' || this.#parents.length > 0) return;
    this.#state = { kind: 'asking' };
    this.#visit();
  }

  /** Parents that nobody hears of any more are not waited for. */
  #look(): void {
    for (const { holder, gone } of this.#parents) {
      if (this.#deps.isThere(holder.node) === false) gone.abort(goneError(holder));
    }
    this.#visit();
  }

  #move(state: State): void {
    this.#state = state;
    if (state.kind !== 'leads' && state.kind !== 'alone') return;
    const hasTaken = this.#hasFollowed || this.#hasDeposed;
    this.#say(state.kind === 'leads' && hasTaken ? 'took-over' : state.kind);
    this.#host?.changed();
  }

  #say(place: ShareEvent['place']): void {
    this.#deps.channels?.share.publish({ digest: this.#digest, place });
  }
}

function goneError({ node }: Holder): AppError {
  return new AppError('UPSTREAM_UNREACHABLE', `${node} was not heard of for a while`);
}

/** The source's answer and its body, until `gone` aborts: then they fail with its reason. */
async function openUntil(
  source: Source,
  request: SourceRequest,
  signal: AbortSignal,
  gone: AbortSignal,
): Promise<SourceBody> {
  const either = AbortSignal.any([signal, gone]);
  try {
    const body = await source.open(request, either);
    return { ...body, chunks: chunksUntil(body.chunks, gone) };
  } catch (error) {
    throw gone.aborted ? gone.reason : error;
  }
}

async function* chunksUntil(chunks: AsyncIterable<Uint8Array>, gone: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks;
  } catch (error) {
    throw gone.aborted ? gone.reason : error;
  }
}
