import { sleep } from '../../core/clock.ts';
import type { Descriptor } from '../../core/descriptor.ts';
import type { Digest } from '../../core/digest.ts';
import { AppError, asAppError } from '../../core/errors.ts';
import { type ManifestReference, manifestReferences } from '../../core/manifest-references.ts';
import { isPlatform, type Platform, platformText } from '../../core/platform.ts';
import type { Reference } from '../../core/reference.ts';
import { formatSize } from '../../core/units.ts';
import type { Catalog } from '../../store/catalog.ts';
import type { Room } from '../../store/content-store.ts';
import type { Depot, ManifestAnswer } from '../depot.ts';
import type { ImageName } from '../image-name.ts';
import { listedPlatforms } from '../image-platforms.ts';
import type { Slots } from '../slots.ts';
import { notKept, PreheatLayer, type PreheatLayerDeps, pauseAfter, preheatClient } from './preheat-layer.ts';
import type { PreheatImageSnapshot, PreheatLayerSnapshot, PreheatState } from './preheat-snapshot.ts';

export interface PreheatImageDeps extends PreheatLayerDeps {
  readonly depot: Pick<Depot, 'blob' | 'manifest'>;
  /** Says of a manifest whether the repository has it. */
  readonly catalog: Pick<Catalog, 'linked'>;
  /** One at a time looks for room for all of an image. */
  readonly roomTurn: Slots;
  /** Layers, of all preheats together. */
  readonly slots: Slots;
}

export interface PreheatImageOptions {
  /** Empty: all that an index lists. */
  readonly platforms: readonly Platform[];
  /** No more than this can be kept. */
  readonly maxBytes: number;
}

/** Manifests of one image, and layers of all of them: more is no image, but an attack or a mistake. */
const [mostManifests, mostLayers] = [256, 4000];
// An index of indexes is rare, and no client follows more.
const maxDepth = 4;

/**
 * Pulls one image as clients would, of each platform that is wanted: its manifests, then what these list, some at a time. A
 * layer that fails fails the image, and the others go on.
 *
 * Invariants: what it brought stays from the moment it is here until `settle`: eviction leaves it alone, also for the parts that
 * are still to come. Room for all of it is looked for before the first layer is asked for, so images that do not fit together
 * do not push each other out half-way. `done` is said once more at the end, of what is here then.
 */
export class PreheatImage {
  readonly #deps: PreheatImageDeps;
  readonly #name: ImageName;
  readonly #options: PreheatImageOptions;
  readonly #layers = new Map<Digest, PreheatLayer>();
  readonly #platforms = new Set<string>();
  /** Manifests that its indexes list and that are wanted, so far. */
  #listed = 0;
  #manifest: Digest | undefined;
  #state: PreheatState = 'waiting';
  #error: string | undefined;
  #warning: string | undefined;
  readonly #manifests = new Set<Digest>();
  /** Ends the keeping of what is here. */
  readonly #kept: (() => void)[] = [];
  /** Before its layers are known. */
  #waitingFor: string | undefined;
  /** As it was when it ended: nothing changes after that. */
  #last: PreheatImageSnapshot | undefined;

  constructor(deps: PreheatImageDeps, name: ImageName, options: PreheatImageOptions) {
    this.#deps = deps;
    this.#name = name;
    this.#options = options;
  }

  get state(): PreheatState {
    return this.#state;
  }

  /** When all of the preheat is over: is it here? After that nothing of it changes, and it stays no longer than other images. Never rejects. */
  async settle(): Promise<void> {
    if (this.#state === 'done') await this.#lookAgain();
    this.#letGo();
    this.#last = this.snapshot();
  }

  /** Never rejects. */
  async pull(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return this.#ended(asAppError(signal.reason), signal);
    this.#state = 'pulling';
    try {
      await this.#collect(this.#name.reference, undefined, 0, signal);
      const { sizeBytes } = this.snapshot();
      if (sizeBytes > this.#options.maxBytes) throw tooLarge(sizeBytes, this.#options.maxBytes);
      await this.#deps.roomTurn.run(() => this.#takeRoom(), signal);
      const results = await Promise.allSettled(
        [...this.#layers.values()].map((layer) => this.#pullLayer(layer, signal)),
      );
      const failure = results.find((result) => result.status === 'rejected');
      if (failure !== undefined) throw failure.reason;
      this.#state = 'done';
    } catch (thrown) {
      this.#ended(asAppError(thrown), signal);
    }
  }

  /** The same object again once it has ended. */
  snapshot(): PreheatImageSnapshot {
    if (this.#last !== undefined) return this.#last;
    const layers = [...this.#layers.values()].map((layer) => layer.snapshot());
    return {
      image: this.#name.name,
      state: this.#state,
      manifest: this.#manifest,
      platforms: [...this.#platforms],
      waitingFor: this.#state === 'pulling' ? (this.#waitingFor ?? waitingForOf(layers)) : undefined,
      error: this.#error,
      warning: this.#warning,
      sizeBytes: layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      filledBytes: layers.reduce((sum, { filledBytes }) => sum + filledBytes, 0),
      layers,
    };
  }

  #ended(error: AppError, signal: AbortSignal): void {
    this.#state = signal.aborted ? 'cancelled' : 'failed';
    if (!signal.aborted) this.#error = error.message;
    for (const layer of this.#layers.values()) layer.cancelled();
    // Others may need the room.
    this.#letGo();
  }

  #keep(digest: Digest, sizeBytes: number): void {
    if (this.#state === 'pulling') this.#kept.push(this.#deps.store.keep(digest, sizeBytes));
  }

  #letGo(): void {
    for (const letGo of this.#kept.splice(0)) letGo();
  }

  /** What was purged meanwhile, or found damaged, is not here, whatever was said before. */
  async #lookAgain(): Promise<void> {
    const { catalog, store } = this.#deps;
    let failure: AppError | undefined;
    try {
      for (const digest of this.#manifests) {
        const isHere = (await store.sizeOf(digest)) !== undefined && catalog.linked(this.#name.scope, digest);
        if (!isHere) failure ??= lost(digest);
      }
      for (const [digest, layer] of this.#layers) {
        if ((await store.sizeOf(digest)) !== undefined) continue;
        failure ??= lost(digest);
        layer.lost(lost(digest));
      }
    } catch (thrown) {
      failure ??= asAppError(thrown);
    }
    if (failure === undefined) return;
    this.#state = 'failed';
    this.#error = failure.message;
  }

  /** For what is neither here nor on its way: all of it, or else none is asked for. */
  async #takeRoom(): Promise<void> {
    const { flights, store } = this.#deps;
    const missing: Descriptor[] = [];
    for (const { descriptor } of this.#layers.values()) {
      const isComing = flights.snapshot(descriptor.digest) !== undefined;
      if (!isComing && (await store.sizeOf(descriptor.digest)) === undefined) missing.push(descriptor);
    }
    const missingBytes = missing.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    if (missingBytes === 0) return;
    const room = await store.makeRoom(missingBytes);
    if (room !== 'enough') throw noRoom(room, missingBytes, this.#options.maxBytes);
    for (const { digest, sizeBytes } of missing) await store.makeRoom(sizeBytes, digest);
  }

  /** Fetches a manifest and notes what it lists, down to the layers. */
  async #collect(reference: Reference, platform: Platform | undefined, depth: number, signal: AbortSignal) {
    const { digest, mediaType, bytes, served } = await this.#fetch(reference, signal);
    this.#manifest ??= digest;
    if (bytes === undefined) throw new AppError('INTERNAL', 'a manifest came without its bytes');
    if (served === 'stale') this.#warning = staleWarning;
    this.#keep(digest, bytes.length);
    this.#manifests.add(digest);
    // It may have been told from memory, as to a client.
    if ((await this.#deps.store.sizeOf(digest)) === undefined) throw notKept(digest, this.#deps.troubles());
    const { children, blobs } = manifestReferences(bytes, mediaType);
    if (platform !== undefined) this.#platforms.add(platformText(platform));
    for (const blob of blobs) this.#note(blob);
    if (children.length === 0 || depth >= maxDepth) return;
    for (const child of this.#wanted(children, bytes)) {
      await this.#collect({ kind: 'digest', digest: child.digest }, child.platform, depth + 1, signal);
    }
  }

  #note(blob: ManifestReference): void {
    // What may come from elsewhere no client fetches here.
    if (!blob.provesPossession || this.#layers.has(blob.digest)) return;
    if (this.#layers.size >= mostLayers)
      throw new AppError('UPSTREAM_INVALID', `it has more than ${mostLayers} layers`);
    this.#layers.set(blob.digest, new PreheatLayer(this.#deps, this.#name.scope, blob));
  }

  /** Of what an index lists: the platforms that were asked for, or else all that something runs on. */
  #wanted(children: readonly ManifestReference[], bytes: Uint8Array) {
    const { platforms } = this.#options;
    const offered = listedPlatforms(bytes);
    const listed = children.map(({ digest }) => ({ digest, platform: offered.get(digest) }));
    const isWanted = (platform: Platform | undefined) =>
      platform !== undefined && platforms.some((wanted) => isPlatform(platform, wanted));
    const chosen = platforms.length === 0 ? listed : listed.filter(({ platform }) => isWanted(platform));
    if (chosen.length === 0) throw noPlatform(platforms, [...offered.values()]);
    // Where some say what they run on, one that does not is about another (an attestation), or for nobody.
    const named = chosen.filter(({ platform }) => platform !== undefined);
    const wanted = named.length === 0 ? chosen : named;
    this.#listed += wanted.length;
    if (this.#listed > mostManifests) {
      throw new AppError('UPSTREAM_INVALID', `it lists more than ${mostManifests} manifests`);
    }
    return wanted;
  }

  #fetch(reference: Reference, signal: AbortSignal): Promise<ManifestAnswer> {
    const { scope } = this.#name;
    const how = { accept: undefined, method: 'GET', isFresh: true, client: preheatClient } as const;
    const request = { scope, reference, ...how };
    const attempt = () => {
      this.#waitingFor = undefined;
      return this.#deps.depot.manifest(request, signal);
    };
    return this.#patiently(attempt, signal, (waitingFor) => {
      this.#waitingFor = waitingFor;
    });
  }

  async #pullLayer(layer: PreheatLayer, signal: AbortSignal): Promise<void> {
    const attempt = () => this.#deps.slots.run(() => layer.pull(signal), signal);
    try {
      await this.#patiently(attempt, signal, (waitingFor) => layer.waits(waitingFor));
      this.#keep(layer.descriptor.digest, layer.descriptor.sizeBytes);
    } catch (error) {
      if (signal.aborted) layer.cancelled();
      else layer.failed(asAppError(error));
      throw error;
    }
  }

  /** Comes back as a client would: what is on its way goes on meanwhile, and a rest that upstream asked for is kept. */
  async #patiently<T>(
    attempt: () => Promise<T>,
    signal: AbortSignal,
    onPause: (waitingFor: string) => void,
  ): Promise<T> {
    for (let failed = 1; ; failed++) {
      try {
        return await attempt();
      } catch (error) {
        const pauseMs = signal.aborted ? undefined : pauseAfter(error, failed);
        if (pauseMs === undefined) throw error;
        onPause(`another attempt: ${asAppError(error).message}`);
        await sleep(this.#deps.clock, pauseMs, signal);
      }
    }
  }
}

/** Undefined: something of it comes. */
function waitingForOf(layers: readonly PreheatLayerSnapshot[]): string | undefined {
  if (layers.some(({ state }) => state === 'pulling' || state === 'verifying')) return undefined;
  return layers.find(({ waitingFor }) => waitingFor !== undefined)?.waitingFor;
}

function tooLarge(sizeBytes: number, maxBytes: number): AppError {
  const message = `it has ${formatSize(sizeBytes)}, and the cache holds ${formatSize(maxBytes)} (storage.maxSize)`;
  return new AppError('STORAGE_FULL', message, { details: { reason: 'too-large' } });
}

const staleWarning = 'upstream could not be asked where the tag points: this is what it last pointed to';

function lost(digest: Digest): AppError {
  const message = `${digest} was here and has left the cache meanwhile: it was purged, or found damaged`;
  return new AppError('STORAGE_FAILED', message);
}

function noRoom(room: Exclude<Room, 'enough'>, missingBytes: number, maxBytes: number): AppError {
  const size = formatSize(missingBytes);
  const bound = `of the ${formatSize(maxBytes)} that the cache may hold (storage.maxSize) too much is pinned, in use, or of this preheat`;
  const messages = {
    'too-large': `there is no room for the ${size} that are missing`,
    'disk-full': `the disk is full: there is no room for the ${size} that are missing`,
    'cache-in-use': `there is no room for the ${size} that are missing: ${bound}`,
    'disk-failed': `the disk lets nothing go for the ${size} that are missing`,
  };
  const code = room === 'disk-failed' ? 'STORAGE_FAILED' : 'STORAGE_FULL';
  return new AppError(code, messages[room], { details: { reason: room } });
}

function noPlatform(wanted: readonly Platform[], offered: readonly Platform[]): AppError {
  const list = (platforms: readonly Platform[]) => [...new Set(platforms.map(platformText))].join(', ');
  const has = offered.length === 0 ? 'says of no part what it runs on' : `is for ${list(offered.slice(0, 30))}`;
  return new AppError('MANIFEST_UNKNOWN', `there is nothing for ${list(wanted)}: the image ${has}`);
}
