import type { Interval } from '../core/byte-range.ts';
import type { Digest } from '../core/digest.ts';
import type { AppError } from '../core/errors.ts';
import type { FillMark } from '../core/fill-mark.ts';
import type { Reference } from '../core/reference.ts';
import type { Scope } from '../core/scope.ts';
import type { TraceContext } from '../core/tracing.ts';

/**
 * Where the gateway and the depot meet. What crosses is plain data, a file descriptor or shared memory, and a mark of
 * how far it may be read: never a stream, so that gateways can run in threads of their own.
 * Every call rejects with an `AppError` whose code is what the client is to be told (P6).
 */
export interface Depot {
  manifest(request: ManifestRequest, signal: AbortSignal): Promise<ManifestAnswer>;
  blob(request: BlobRequest, signal: AbortSignal): Promise<BlobAnswer>;
  tags(request: TagsRequest, signal: AbortSignal): Promise<ListAnswer>;
  referrers(request: ReferrersRequest, signal: AbortSignal): Promise<ListAnswer>;
  /** Repositories with cached content, for `_catalog`. */
  repositories(after: string | undefined, limit: number): Promise<{ names: readonly string[]; more: boolean }>;
}

/** Told, now and then, what gateways answered from what they remember: for access times, and for the view of pulls. */
export interface HitLog {
  noteHits(notes: readonly HitNote[]): void;
}

export interface HitNote {
  readonly scope: Scope;
  readonly digest: Digest;
  readonly method: 'GET' | 'HEAD';
  /** What a manifest was asked by; undefined for a blob. */
  readonly reference: Reference | undefined;
  readonly count: number;
}

/** Finds the scope that a request's names mean (design: names, scopes, privacy). Pure: gateways have their own. */
export interface NameResolver {
  /**
   * `ns` is containerd's query parameter, `name` what stands between `/v2/` and the endpoint. Throws REGISTRY_UNKNOWN
   * for a registry that is not configured and NAME_INVALID for a name outside the grammar.
   */
  resolve(ns: string | undefined, name: string): Scope;
}

/** How the content came to be here, for logs and metrics. */
export type Served = 'hit' | 'joined' | 'led' | 'revalidated' | 'stale';

export interface ManifestRequest {
  readonly scope: Scope;
  readonly reference: Reference;
  /** The client's Accept header lines, joined; undefined where there was none. */
  readonly accept: string | undefined;
  /** HEAD: the answer's bytes may be absent. */
  readonly method: 'GET' | 'HEAD';
  /** By a tag: upstream is asked where that points now, however lately it said so. `stale`: it could not be asked. */
  readonly isFresh?: boolean | undefined;
  /** Who asks, for the view of pulls by image. */
  readonly client: string;
  readonly trace?: TraceContext | undefined;
}

/**
 * For how long an answer may be given again without asking: until then, as long as nothing has changed (`ChangeCount`) since
 * it was asked for.
 */
export interface Keep {
  /** The count before the answer was looked for. */
  readonly change: number;
  /** Milliseconds since the epoch. */
  readonly untilMs: number;
}

export interface ManifestAnswer {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
  /** The exact bytes that upstream sent. Always there for GET. */
  readonly bytes: Uint8Array | undefined;
  readonly served: Served;
  /** Undefined where the next one has to ask again. */
  readonly keep?: Keep | undefined;
}

export interface BlobRequest {
  readonly scope: Scope;
  readonly digest: Digest;
  /** HEAD: nothing is fetched, the answer has no body. */
  readonly method: 'GET' | 'HEAD';
  /** The Range header as it came; decided once the size is known. */
  readonly range: string | undefined;
  readonly client: string;
  /** Which gateway asks, if it can serve from a lease what it is given one for: a number from 0. */
  readonly gateway?: number | undefined;
  /**
   * GET: the `fileId` of a lease that the gateway is in until this is answered, on what it could not read. The body is of
   * that very file, whatever the store has by now: it is to be told what was `unreadable`, and goes on from there.
   */
  readonly leased?: number | undefined;
  readonly trace?: TraceContext | undefined;
}

/**
 * A right to read committed content without asking, for one gateway: each answer enters `use`, reads the file, and leaves.
 * While nobody uses it the depot takes it back when it likes; then the descriptor means nothing any more.
 */
export interface BlobLease {
  readonly fd: number;
  /** Names the open file: no other one in this process ever has the same number. */
  readonly fileId: number;
  readonly sizeBytes: number;
  /** The word of a `SharedUse`. */
  readonly words: SharedArrayBuffer;
  readonly index: number;
  readonly keep: Keep;
}

export type BlobAnswer =
  | {
      readonly kind: 'head';
      readonly sizeBytes: number | undefined;
      readonly served: Served;
      readonly keep?: Keep | undefined;
    }
  | { readonly kind: 'unsatisfiable'; readonly sizeBytes: number }
  | {
      readonly kind: 'body';
      /** The whole blob's size; undefined where upstream does not say: then the body is sent chunked, and whole. */
      readonly sizeBytes: number | undefined;
      /** The part to send (206), or undefined for the whole (200). */
      readonly part: Interval | undefined;
      readonly body: BlobBody;
      readonly served: Served;
      /** For the gateway that asked, to serve the same digest in the same scope from. */
      readonly lease?: BlobLease | undefined;
    };

/**
 * One response's view of a blob: committed, still being filled, or passing by. The gateway reads `storage` at positions
 * between `start` and what `readableTo` says, in order, at its own pace, and calls `close` in every case. Where the bytes
 * are may change from one call of `readableTo`, `whenReadable` or `unreadable` to the next.
 */
export interface BlobBody {
  readonly start: number;
  /** Where this body ends (excluded); undefined while the blob's size is unknown. */
  readonly end: number | undefined;
  /** Where to read. Valid once `readableTo` or `whenReadable` has said that there is something to read. */
  readonly storage: BlobStorage;
  /**
   * Where it follows a fill whose size is known: what `readableTo` would say, up to `end`, for a gateway in another thread.
   * Valid with `storage`. Once the mark is over and not verified only `whenReadable` tells how it goes on.
   */
  readonly mark?: FillMark | undefined;
  /** Bytes between `offset` and the returned position can be read now; returns `offset` where none can. Throws the
   *  flight's error once the body cannot be completed. */
  readableTo(offset: number): number;
  /**
   * Resolves with `readableTo(offset)` as soon as that is beyond `offset`; with `offset` itself once the body is known to end
   * there. Rejects with the flight's error when the body cannot be completed, or with the signal's reason.
   */
  whenReadable(offset: number, signal: AbortSignal): Promise<number>;
  /**
   * The bytes at `offset` could not be read although they should be there. Resolves when it is worth asking `readableTo`
   * again: they can be had from elsewhere. Rejects with what the client is to be told.
   */
  unreadable(offset: number, error: AppError, signal: AbortSignal): Promise<void>;
  /**
   * Its reader, in another thread, waits at `offset` for the fill that `mark` tells of: what is missing there is wanted. Not
   * told each time; what `whenReadable` waits for needs no telling.
   */
  sleepsAt?(offset: number): void;
  /** Ends this view. Idempotent. */
  close(): void;
}

export type BlobStorage =
  /**
   * `fileId`: where bytes that can be read once never change again, a number that no other file in this process ever has.
   * `sizeBytes`: where all of the file is there, how long it is.
   */
  | { readonly kind: 'file'; readonly fd: number; readonly fileId?: number; readonly sizeBytes?: number }
  | { readonly kind: 'memory'; readonly bytes: Uint8Array }
  | { readonly kind: 'window'; readonly window: BlobWindow };

/** Bytes that are in memory only for a while. */
export interface BlobWindow {
  /** Copies what is there from `offset` on to `into`; returns how many bytes. 0: it has gone since it was said to be there. */
  read(offset: number, into: Uint8Array): number;
}

export interface TagsRequest {
  readonly scope: Scope;
  /** The client's query without `ns`, for upstream: registries page with parameters of their own. */
  readonly query: string;
  readonly trace?: TraceContext | undefined;
}

export interface ReferrersRequest {
  readonly scope: Scope;
  readonly digest: Digest;
  readonly query: string;
  /** The filter that `query` holds, where it is one: for a registry that cannot filter. */
  readonly artifactType: string | undefined;
  readonly trace?: TraceContext | undefined;
}

/** A JSON document passed through from upstream. */
export interface ListAnswer {
  readonly body: Uint8Array;
  readonly mediaType: string;
  /** Query string (without `?`) of the next page, for a Link header that points at ourselves. */
  readonly nextQuery: string | undefined;
  /** `OCI-Filters-Applied`, for referrers. */
  readonly filtersApplied: string | undefined;
  readonly served: Served;
}
