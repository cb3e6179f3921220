import type { Coordinator, Holder, NodeId, Standing } from '../cluster/coordinator.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { Digest } from '../core/digest.ts';
import type { AppError } from '../core/errors.ts';
import type { FillShare, FillShareHost } from '../flights/fill-share.ts';
import type { Source } from '../flights/source.ts';
import type { Channels, ShareEvent } from '../telemetry/channels.ts';
import { SharePeers, type SharePeersDeps } from './share-peers.ts';

export interface BlobShareDeps extends Omit<SharePeersDeps, 'lost'> {
  readonly clock: Clock;
  readonly coordinator: Pick<Coordinator, 'visit' | 'leave' | 'lost'>;
  /** Who was there when this node last heard; undefined: it does not hear of others. */
  readonly members: () => readonly NodeId[] | undefined;
  /** Hears anew who is there. Never rejects, and lasts no longer than a call to the engine. */
  readonly hear: () => Promise<void>;
  /** Ends what peers read of this blob from here: they are better served elsewhere. */
  readonly dismiss?: () => void;
  readonly channels?: Pick<Channels, 'share'> | undefined;
  /** The fill is over, whether it had begun or not. Told once, before the farewell. */
  readonly ended?: () => void;
}

export interface BlobShareOptions {
  /** So often others are told how far it is, and it is looked whether those that it reads from are still there. */
  readonly reportMs: number;
  /** So long a leader is waited for of whom nothing can be had, before another one takes its place; then so long for that one. */
  readonly patienceMs: number;
  /** So long a leader is waited for that stands still as this node does: longer than it takes one to yield that knows why. */
  readonly stuckPatienceMs: number;
  /** So often it is asked meanwhile who may be read from. */
  readonly askAgainMs: number;
  /** So long a node that was of no use is left alone. */
  readonly avoidMs: number;
  /** So long it tries to get at upstream without a byte before it yields to whoever can. */
  readonly troubleMs: number;
}

export const blobShareDefaults: BlobShareOptions = {
  reportMs: 1000,
  patienceMs: 2000,
  stuckPatienceMs: 30_000,
  askAgainMs: 200,
  avoidMs: 10_000,
  troubleMs: 5000,
};

type State =
  /** Not begun, or asking who brings it: nobody may be asked for bytes before that is answered. */
  | { readonly kind: 'asking' }
  /** It is the one that asks upstream. */
  | { readonly kind: 'leads'; readonly token: string }
  /** It reads from other nodes. */
  | { readonly kind: 'follows' }
  /** Another node leads, of whom nothing can be had. */
  | {
      readonly kind: 'waits';
      readonly leader: NodeId;
      readonly sinceMs: number;
      /** It has no more than this node: a matter of longer than a moment. */
      readonly isForUpstream?: true;
    }
  /** It asks upstream without a lease: there is no engine, nobody who could be waited for, or it yields. */
  | { readonly kind: 'alone' }
  | { readonly kind: 'over' };

/**
 * One fill's place among the nodes that share an engine.
 *
 * Invariants
 * - Upstream may be asked while it leads or is alone, a node while it is a parent; `#move` alone changes the one, `SharePeers`
 *   the other, and the flight is told. Who may ask upstream goes on until it has the blob (P11), or yields and follows.
 * - At most one visit is under way. What happens meanwhile is looked at when it ends (`#again`).
 * - It always decides: a visit ends within the engine's bound, waiting within twice `patienceMs`, or `stuckPatienceMs` where the
 *   leader stands still as well; a parent that fails, or that nodes have not heard of, is a parent no longer, and without any it
 *   asks anew.
 * - A leader who was waited for in vain is deposed: of all who waited one leads then, and the others follow. Only where nothing
 *   can be had of that one either this node is alone.
 * - After `end` nothing is told to the flight, and nothing of this is left but the farewell under way.
 *
 * Who may die: the engine (then it is alone), a parent (its source fails, or it is not heard of any more), the leader, whom
 * this node may then follow in office. What the engine says may be old or wrong: a parent that has nothing is avoided for a
 * while, and reported where it was said to have all. Content outlives its nodes in the directory by a day: who is not heard of
 * is not dialled for it, or a fill would try every node that there ever was, one after the other.
 *
 * Ways may be cut for some and not for others. After a parent that stood still only who has more than this node is followed:
 * those who stand behind the same gap would wait for each other. A leader that has no more either is left in office for a good
 * while. Who may ask upstream and cannot get at it yields: it gives up its lease, sends away who reads from it, and follows whoever
 * gets ahead; until somebody does it goes on trying.
 */
export class BlobShare implements FillShare {
  readonly #deps: BlobShareDeps;
  readonly #options: BlobShareOptions;
  readonly #digest: Digest;
  readonly #peers: SharePeers;
  #host: FillShareHost | undefined;
  #state: State = { kind: 'asking' };
  #hasFollowed = false;
  #hasDeposed = false;
  /** The engine names nodes that are not there: it is told who is. */
  #tellsMembers = false;
  /** The last parent stood still. */
  #wasStuck = false;
  /** Since when attempts at upstream fail without a byte, how much was there then, and how many they are. */
  #trouble: { readonly sinceMs: number; readonly filledBytes: number; failures: number } | undefined;
  #isVisiting = false;
  #again = false;
  #timer: Timer | undefined;

  constructor(deps: BlobShareDeps, options: BlobShareOptions, digest: Digest) {
    this.#deps = deps;
    this.#options = options;
    this.#digest = digest;
    const lost = (holder: Holder, error: AppError, wasParent: boolean) => this.#lost(holder, error, wasParent);
    const { avoidMs, reportMs } = options;
    this.#peers = new SharePeers({ ...deps, lost }, { avoidMs, freshMs: 2 * reportMs }, digest);
  }

  get state(): State['kind'] {
    return this.#state.kind;
  }

  get parents(): readonly NodeId[] {
    return this.#peers.parents;
  }

  get isUndecided(): boolean {
    const { kind } = this.#state;
    return kind === 'asking' || kind === 'waits' || kind === 'follows';
  }

  get waitingFor(): string {
    return this.#state.kind === 'waits' ? `${this.#state.leader}, which asks upstream` : 'the other nodes';
  }

  allows(source: Source): boolean {
    if (source.isPeer !== true) return this.#mayAskUpstream;
    return this.#peers.isParent(source);
  }

  start(host: FillShareHost): void {
    if (this.#state.kind === 'over') return;
    this.#host = host;
    this.#visit();
  }

  failed(error: AppError): void {
    if (this.#host === undefined || !this.#mayAskUpstream || !isTrouble(error)) return;
    const { filledBytes } = this.#host;
    if (this.#trouble === undefined || filledBytes > this.#trouble.filledBytes) {
      this.#trouble = { sinceMs: this.#deps.clock.monotonic(), filledBytes, failures: 0 };
    }
    this.#trouble.failures++;
  }

  end(isComplete: boolean): void {
    if (this.#state.kind === 'over') return;
    const token = this.#token;
    const wasHeard = this.#host !== undefined;
    this.#move({ kind: 'over' });
    this.#timer?.clear();
    this.#peers.leaveAll();
    this.#deps.ended?.();
    // A farewell that nobody hears is made good by time: what is not renewed does not count for long.
    if (wasHeard) this.#deps.coordinator.leave(this.#digest, { token, isComplete }).catch(() => {});
  }

  get #mayAskUpstream(): boolean {
    return this.#state.kind === 'leads' || this.#state.kind === 'alone';
  }

  get #token(): string | undefined {
    return this.#state.kind === 'leads' ? this.#state.token : undefined;
  }

  get #seeks(): boolean {
    return this.#state.kind === 'asking' || this.#state.kind === 'waits';
  }

  /** Whether upstream could not be got at for so long that somebody else should try. An attempt that waits yet may come to something. */
  #mustYield(filledBytes: number): boolean {
    if (this.#trouble === undefined || !this.#mayAskUpstream) return false;
    const { sinceMs, failures, filledBytes: before } = this.#trouble;
    const isLong = this.#deps.clock.monotonic() - sinceMs >= this.#options.troubleMs;
    return filledBytes <= before && failures > 1 && isLong;
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
    const yields = this.#mustYield(host.filledBytes);
    const seeks = this.#seeks || yields;
    const asked = { seeks, yields, onlyAhead: this.#wasStuck };
    const known = { parents: this.parents, token: yields ? undefined : this.#token, ...this.#peers.avoided() };
    const among = seeks && this.#tellsMembers ? this.#deps.members() : undefined;
    const { prefixBytes, sizeBytes } = host;
    this.#deps.coordinator.visit(this.#digest, { prefixBytes, sizeBytes, ...asked, ...known, among }).then(
      (standing) => this.#visited(standing, asked),
      () => this.#visited(undefined, asked),
    );
  }

  #visited(standing: Standing | undefined, asked: { readonly seeks: boolean; readonly yields: boolean }): void {
    this.#isVisiting = false;
    if (this.#state.kind === 'over') return;
    if (asked.yields) this.#yielded(standing);
    else if (asked.seeks && this.#seeks) this.#decide(standing);
    else if (standing?.kind === 'noted' && this.#state.kind === 'leads') this.#move({ kind: 'alone' });
    const again = this.#again;
    this.#again = false;
    if (again && this.#seeks) return this.#visit();
    const isSoon = this.#state.kind === 'waits' && this.#state.isForUpstream !== true;
    this.#timer?.clear();
    this.#timer = this.#deps.clock.after(isSoon ? this.#options.askAgainMs : this.#options.reportMs, () =>
      this.#look(),
    );
  }

  /** It leads no more, and is no holder for others, unless the engine did not hear of that. */
  #yielded(standing: Standing | undefined): void {
    if (standing === undefined || !this.#mayAskUpstream) return;
    if (this.#state.kind === 'leads') {
      this.#deps.dismiss?.();
      this.#move({ kind: 'alone' });
    }
    if (standing.kind === 'follows') this.#decide(standing);
  }

  #decide(standing: Standing | undefined): void {
    switch (standing?.kind) {
      case 'leads':
        return this.#move({ kind: 'leads', token: standing.token });
      case 'follows':
        return this.#isHeardOf(standing.holder) ? this.#follow(standing.holder) : this.#passOver(standing.holder);
      case 'waits':
        return this.#wait(standing.leader, standing.isAhead);
      default:
        return this.#move({ kind: 'alone' });
    }
  }

  #wait(leader: NodeId, isAhead: boolean): void {
    const nowMs = this.#deps.clock.monotonic();
    const { patienceMs, stuckPatienceMs, avoidMs } = this.#options;
    // It is stuck as well: then it is upstream that is waited for, and the leader knows best what to do about that. If not for
    // ever: what stands still may be the leader itself, with a disk that does not answer.
    const isForUpstream = this.#wasStuck && !isAhead;
    const before = this.#state.kind === 'waits' ? this.#state : undefined;
    const sinceMs = before !== undefined && (before.isForUpstream === true) === isForUpstream ? before.sinceMs : nowMs;
    if (nowMs - sinceMs < (isForUpstream ? stuckPatienceMs : patienceMs)) {
      return this.#move({ kind: 'waits', leader, sinceMs, ...(isForUpstream && { isForUpstream }) });
    }
    if (this.#hasDeposed) return this.#move({ kind: 'alone' });
    this.#hasDeposed = true;
    this.#peers.avoid(leader, avoidMs, true);
    this.#move({ kind: 'waits', leader, sinceMs: nowMs });
    this.#again = true;
  }

  /** Whether it can have what the directory says it has. Those who bring it may be so new that no beat has told of them. */
  #isHeardOf({ node, isComplete }: Holder): boolean {
    return !isComplete || this.#deps.members()?.includes(node) !== false;
  }

  /**
   * Asks again, for somebody who is there. What one left behind that has gone is nobody's; one that was never heard of may have
   * come since the last beat, so who is there is heard anew first.
   */
  #passOver({ node }: Holder): void {
    const isThere = this.#deps.isThere(node);
    const wasHeard = this.#tellsMembers;
    this.#tellsMembers = true;
    if (isThere === false) this.#deps.coordinator.lost(this.#digest, node).catch(() => {});
    if (isThere === false || wasHeard) {
      this.#again = true;
      return;
    }
    this.#isVisiting = true;
    void this.#deps.hear().then(() => {
      this.#isVisiting = false;
      this.#visit();
    });
  }

  #follow(holder: Holder): void {
    const source = this.#peers.follow(holder);
    this.#state = { kind: 'follows' };
    this.#trouble = undefined;
    if (!this.#hasFollowed) this.#say('follows');
    this.#hasFollowed = true;
    this.#host?.offer(source);
  }

  #lost({ node, isComplete }: Holder, { code }: AppError, wasParent: boolean): void {
    if (this.#state.kind === 'over') return;
    const isWithout = code === 'UPSTREAM_UNREACHABLE' || code === 'BLOB_UNKNOWN';
    if (isComplete && isWithout) this.#deps.coordinator.lost(this.#digest, node).catch(() => {});
    if (!wasParent) return;
    this.#wasStuck = code === 'UPSTREAM_STALLED';
    if (this.#state.kind !== 'follows' || this.parents.length > 0) return;
    this.#state = { kind: 'asking' };
    this.#visit();
  }

  #look(): void {
    this.#peers.doubt();
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

/** Whether it says that upstream cannot be got at from here: elsewhere it may be otherwise. */
function isTrouble({ code }: AppError): boolean {
  return code === 'UPSTREAM_UNREACHABLE' || code === 'UPSTREAM_TIMEOUT' || code === 'UPSTREAM_STALLED';
}
