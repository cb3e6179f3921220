import { LRUCache } from 'lru-cache';
import type { Clock } from '../core/clock.ts';
import type { Descriptor } from '../core/descriptor.ts';
import type { Digest } from '../core/digest.ts';
import { manifestReferences } from '../core/manifest-references.ts';
import { type Reference, referenceText } from '../core/reference.ts';
import { type Scope, scopeKey, scopeName } from '../core/scope.ts';
import type { FlightSnapshot } from '../flights/flight-snapshot.ts';
import type { ContentStore } from '../store/content-store.ts';
import type { Channels } from '../telemetry/channels.ts';
import type { HitNote, ManifestAnswer } from './depot.ts';
import { StoredMemory, type StoredMemoryDeps } from './stored-memory.ts';

/** One image that was asked for lately, as operators see it (P12). */
export interface PullSnapshot {
  /** Names this entry as long as the process runs, whatever the image is called meanwhile. */
  readonly id: string;
  /** `registry/repository:tag` or `registry/repository@digest`. */
  readonly image: string;
  readonly manifest: Digest;
  /** `incomplete`: something of it is not here, and nobody waits for it, nor fetches it. */
  readonly state: 'waiting' | 'pulling' | 'verifying' | 'incomplete' | 'done' | 'failed';
  readonly sizeBytes: number;
  /** What of it is here now: of what left the store nothing is. */
  readonly filledBytes: number;
  /** Responses that wait for one of its layers now, and the clients behind them (at most 20 named). */
  readonly waiters: number;
  readonly clients: readonly string[];
  /** Clients that asked for it since it was first asked for. */
  readonly pulls: number;
  /** Requests and body bytes that it cost upstream. */
  readonly upstreamRequests: number;
  readonly upstreamBytes: number;
  /** What other nodes sent of it. */
  readonly peerBytes: number;
  readonly firstAskedAtMs: number;
  readonly lastAskedAtMs: number;
  readonly layers: readonly LayerSnapshot[];
}

export interface LayerSnapshot {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
  readonly state: 'missing' | 'waiting' | 'pulling' | 'verifying' | 'done' | 'failed';
  readonly waitingFor: string | undefined;
  readonly filledBytes: number;
  readonly waiters: number;
  readonly upstreamBytes: number;
  readonly peerBytes: number;
  readonly error: string | undefined;
}

export interface PullBoardDeps extends StoredMemoryDeps {
  readonly store: Pick<ContentStore, 'sizeOf' | 'partialBytes'>;
  readonly clock: Clock;
  readonly channels: Pick<Channels, 'flight'>;
  /** Flights in progress and those that ended lately. */
  readonly flights: {
    snapshots(): readonly FlightSnapshot[];
    ended(): readonly FlightSnapshot[];
    wasPassed(digest: Digest): boolean;
  };
}

type FlightsByDigest = ReadonlyMap<Digest, FlightSnapshot>;
type ServedAgain = Pick<HitNote, 'digest' | 'method' | 'count'>;

interface Image {
  readonly id: string;
  /** As it was last asked for, by its tag where one is known. */
  name: string;
  readonly manifest: Digest;
  readonly layers: readonly Descriptor[];
  readonly firstAskedAtMs: number;
  lastAskedAtMs: number;
  pulls: number;
  /** As it was shown when all of it was here and nobody read of it; undefined: it is to be made anew. */
  kept: { readonly snapshot: PullSnapshot; readonly changes: number } | undefined;
}

/** As many as may be pulled at once, usually (`pull.maxFlights`); of those that nobody waits for fewer are shown. */
const imagesKnown = 1000;
const quietImagesShown = 200;
/** No image that runs has more than 127; a manifest may list tens of thousands. */
const layersShown = 200;
const clientsNamed = 20;

/**
 * Which images are being pulled, by whom, and how far each layer is (P12). Only remembers what it is told; nothing depends
 * on it. Bounded: the images asked for last.
 *
 * Invariants: a snapshot is made in one go from what is so at that moment, after the store was asked for what is not known of
 * it. An image that is here, with nobody reading of it, is the same object each time: to look at many costs what goes on.
 */
export class PullBoard {
  readonly #deps: PullBoardDeps;
  readonly #images = new LRUCache<string, Image>({ max: imagesKnown });
  /** The name by which a manifest, or the index that lists it, was asked for. */
  readonly #names = new LRUCache<string, string>({ max: 2000 });
  readonly #readers = new Map<Digest, Map<string, number>>();
  readonly #stored: StoredMemory;
  #lastId = 0;

  constructor(deps: PullBoardDeps) {
    this.#deps = deps;
    this.#stored = new StoredMemory(deps);
    deps.channels.flight.subscribe(({ event, digest }) => {
      if (event === 'done' || event === 'passed') this.#stored.forget(digest);
    });
  }

  /** A manifest was served, or told of (HEAD): containerd asks where a tag points, then for the manifest by its digest. */
  served(scope: Scope, reference: Reference, answer: ManifestAnswer, method: 'GET' | 'HEAD'): void {
    const key = `${scopeKey(scope)} ${answer.digest}`;
    if (reference.kind === 'tag') this.#names.set(key, this.#nameOf(scope, reference));
    if (method === 'GET' && answer.bytes !== undefined) this.#pulled(scope, reference, answer.bytes, answer);
  }

  /** As often as `count` says, the manifest was served by who remembers it from an answer that was told with `served`. */
  servedAgain(scope: Scope, reference: Reference, { digest, method, count }: ServedAgain): void {
    const key = `${scopeKey(scope)} ${digest}`;
    if (reference.kind === 'tag') this.#names.set(key, this.#nameOf(scope, reference));
    const known = method === 'GET' ? this.#images.get(key) : undefined;
    if (known !== undefined) this.#askedAgain(known, scope, reference, count);
  }

  #askedAgain(image: Image, scope: Scope, reference: Reference, count: number): void {
    image.name = this.#nameOf(scope, reference);
    image.lastAskedAtMs = this.#deps.clock.now();
    image.pulls += count;
    image.kept = undefined;
  }

  #pulled(scope: Scope, reference: Reference, bytes: Uint8Array, { digest, mediaType }: ManifestAnswer): void {
    const key = `${scopeKey(scope)} ${digest}`;
    const known = this.#images.get(key);
    if (known !== undefined) return this.#askedAgain(known, scope, reference, 1);
    const nowMs = this.#deps.clock.now();
    const name = this.#nameOf(scope, reference);
    const { children, blobs } = manifestReferences(bytes, mediaType);
    for (const child of children) this.#names.set(`${scopeKey(scope)} ${child.digest}`, name);
    if (blobs.length === 0) return;
    this.#images.set(key, {
      id: String(++this.#lastId),
      name,
      manifest: digest,
      layers: blobs.slice(0, layersShown),
      firstAskedAtMs: nowMs,
      lastAskedAtMs: nowMs,
      pulls: 1,
      kept: undefined,
    });
  }

  /** A response for a blob begins; the returned function says that it has ended. */
  reading(digest: Digest, client: string): () => void {
    const clients = this.#readers.get(digest) ?? new Map<string, number>();
    this.#readers.set(digest, clients);
    clients.set(client, (clients.get(client) ?? 0) + 1);
    if (this.#stored.isStored(digest) === false) this.#stored.forget(digest);
    return () => {
      const left = (clients.get(client) ?? 1) - 1;
      if (left > 0) clients.set(client, left);
      else clients.delete(client);
      if (clients.size === 0) this.#readers.delete(digest);
    };
  }

  /** How often each of the images asked for lately was pulled, by name. */
  pullsByName(): Map<string, number> {
    const pulls = new Map<string, number>();
    for (const image of this.#images.values()) pulls.set(image.name, (pulls.get(image.name) ?? 0) + image.pulls);
    return pulls;
  }

  /** The images that are on their way, and those asked for lately: the last one first. */
  async snapshots(): Promise<PullSnapshot[]> {
    const images = [...this.#images.values()];
    const unknown = new Set(images.flatMap((image) => this.#unknownOf(image)));
    await this.#stored.look(unknown);
    const { flights } = this.#deps;
    const ended = new Map<Digest, FlightSnapshot>();
    for (const flight of flights.ended()) if (!ended.has(flight.digest)) ended.set(flight.digest, flight);
    // Where two have the same digest, a fill has failed and its readers are passed the rest: the later one counts.
    const active = new Map(flights.snapshots().map((flight) => [flight.digest, flight]));
    let quiet = 0;
    return images
      .map((image) => this.#keptOf(image) ?? this.#snapshot(image, active, ended))
      .filter((snapshot) => isOnItsWay(snapshot) || quiet++ < quietImagesShown);
  }

  /** Layers of which only the store knows whether they are here. */
  #unknownOf(image: Image): Digest[] {
    if (this.#keptOf(image) !== undefined) return [];
    return image.layers.map(({ digest }) => digest).filter((digest) => this.#stored.isStored(digest) === undefined);
  }

  #keptOf({ kept, layers }: Image): PullSnapshot | undefined {
    if (kept === undefined || kept.changes !== this.#deps.changes.value) return undefined;
    if (this.#readers.size > 0 && layers.some(({ digest }) => this.#readers.has(digest))) return undefined;
    return kept.snapshot;
  }

  #nameOf(scope: Scope, reference: Reference): string {
    if (reference.kind === 'tag') return `${scopeName(scope)}:${reference.tag}`;
    const known = this.#names.get(`${scopeKey(scope)} ${reference.digest}`);
    return known ?? `${scopeName(scope)}@${referenceText(reference)}`;
  }

  #snapshot(image: Image, active: FlightsByDigest, ended: FlightsByDigest): PullSnapshot {
    const { changes } = this.#deps;
    const shown = image.layers.map((layer) => {
      const current = active.get(layer.digest);
      const flight = current ?? ended.get(layer.digest);
      return { layer: this.#layer(layer, current, flight), flight, isActive: current !== undefined };
    });
    const layers = shown.map(({ layer }) => layer);
    const clients = new Set(image.layers.flatMap(({ digest }) => [...(this.#readers.get(digest)?.keys() ?? [])]));
    const snapshot: PullSnapshot = {
      id: image.id,
      image: image.name,
      manifest: image.manifest,
      state: stateOf(layers),
      sizeBytes: sum(layers, (layer) => layer.sizeBytes),
      filledBytes: sum(layers, (layer) => layer.filledBytes),
      waiters: sum(layers, (layer) => layer.waiters),
      clients: [...clients].slice(0, clientsNamed),
      pulls: image.pulls,
      upstreamRequests: sum(shown, ({ flight }) => (flight === undefined ? 0 : flight.attempts - flight.peerAttempts)),
      upstreamBytes: sum(layers, (layer) => layer.upstreamBytes),
      peerBytes: sum(layers, (layer) => layer.peerBytes),
      firstAskedAtMs: image.firstAskedAtMs,
      lastAskedAtMs: image.lastAskedAtMs,
      layers,
    };
    const isQuiet = snapshot.waiters === 0 && !shown.some(({ isActive }) => isActive);
    const isHere = isQuiet && image.layers.every(({ digest }) => this.#stored.isStored(digest) === true);
    image.kept = isHere ? { snapshot, changes: changes.value } : undefined;
    return snapshot;
  }

  /** `flight`: the active one, or else one that ended lately. */
  #layer(layer: Descriptor, active: FlightSnapshot | undefined, flight: FlightSnapshot | undefined): LayerSnapshot {
    const { digest, mediaType, sizeBytes } = layer;
    // One that ended while the others were looked at has not been looked at since: its word counts.
    const isStored = active === undefined && (this.#stored.isStored(digest) ?? flight?.state === 'done');
    const wasPassed = !isStored && flight !== undefined && this.#deps.flights.wasPassed(digest);
    const isFailed = flight?.state === 'failed';
    const state = active?.state ?? (isStored || wasPassed ? 'done' : isFailed ? 'failed' : 'missing');
    const partBytes = () => Math.min(sizeBytes, this.#deps.store.partialBytes(digest));
    return {
      digest,
      mediaType,
      sizeBytes,
      state,
      waitingFor: active?.waitingFor,
      filledBytes: isStored ? sizeBytes : (active?.filledBytes ?? (wasPassed ? flight.filledBytes : partBytes())),
      waiters: readersOf(this.#readers.get(digest)),
      upstreamBytes: flight === undefined ? 0 : flight.receivedBytes - flight.peerBytes,
      peerBytes: flight?.peerBytes ?? 0,
      error: state === 'failed' ? flight?.error : undefined,
    };
  }
}

/** An image is in the state of its layer that has the longest way to go; a layer that nobody asks for goes none. */
function stateOf(layers: readonly LayerSnapshot[]): PullSnapshot['state'] {
  const has = (state: LayerSnapshot['state']) => layers.some((layer) => layer.state === state);
  if (has('failed')) return 'failed';
  if (has('pulling')) return 'pulling';
  if (has('waiting')) return 'waiting';
  if (has('verifying')) return 'verifying';
  return has('missing') ? 'incomplete' : 'done';
}

/** Somebody reads of it, or something of it is being fetched. */
function isOnItsWay({ waiters, layers }: PullSnapshot): boolean {
  return waiters > 0 || layers.some(({ state }) => state === 'waiting' || state === 'pulling' || state === 'verifying');
}

function readersOf(clients: ReadonlyMap<string, number> | undefined): number {
  let readers = 0;
  for (const count of clients?.values() ?? []) readers += count;
  return readers;
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
