import { AppError, asAppError } from '../../core/errors.ts';
import { type Platform, parsePlatform, platformText } from '../../core/platform.ts';
import { preheatLimits } from '../../core/preheat-limits.ts';
import type { Channels } from '../../telemetry/channels.ts';
import type { NameResolver } from '../depot.ts';
import { type ImageName, parseImageName } from '../image-name.ts';
import { Slots } from '../slots.ts';
import { PreheatImage, type PreheatImageDeps } from './preheat-image.ts';
import { endedNotice, startedNotice } from './preheat-notices.ts';
import type { Asker, PreheatSnapshot, PreheatState, PreheatSummary } from './preheat-snapshot.ts';

export interface PreheatsDeps extends Omit<PreheatImageDeps, 'slots' | 'roomTurn'> {
  readonly channels: Pick<Channels, 'notice'>;
  readonly names: NameResolver;
  /** Another one each time, that nobody guesses. */
  readonly newId: () => string;
}

export interface PreheatsOptions {
  /** Preheats that run at once; more are refused. */
  readonly maxRunning: number;
  /** So many that ended are remembered. */
  readonly maxEnded: number;
  /** With so many layers together; the last one with however many it has. */
  readonly maxEndedLayers: number;
  readonly maxImages: number;
  /** Images of one preheat at once, and layers of all of them. */
  readonly imagesAtOnce: number;
  readonly layersAtOnce: number;
  /** No larger image can be kept. */
  readonly maxBytes: number;
}

export const preheatDefaults = {
  maxRunning: 8,
  maxEnded: 50,
  maxEndedLayers: 100_000,
  maxImages: preheatLimits.images,
  imagesAtOnce: 2,
  layersAtOnce: 6,
} as const;

export interface PreheatRequest {
  readonly images: readonly string[];
  /** As `linux/amd64`; empty: all that an index lists. */
  readonly platforms: readonly string[];
}

interface Preheat {
  readonly id: string;
  readonly platforms: readonly Platform[];
  /** None once it has ended. */
  images: readonly PreheatImage[];
  readonly startedAtMs: number;
  readonly asker: Asker | undefined;
  cancelledBy: Asker | undefined;
  readonly abort: AbortController;
  /** Settles when all of it has ended; never rejects. */
  running: Promise<void>;
  /** As it was when it ended. */
  ended: PreheatSnapshot | undefined;
}

/**
 * Images that are pulled before anybody asks for them.
 *
 * Invariants: a preheat is nobody's request: it goes on until it has ended or somebody cancels it, watched or not. It asks the
 * depot as clients do, so what it wants is fetched once for it and all of them, waits in the same lines, and goes on for them
 * when it is cancelled. What it brought is not evicted before it has ended, and is looked for then: what is not here has not
 * been done. What runs is bounded, in preheats, images and layers, and so is what is remembered. A restart forgets
 * them; what was fetched stays.
 */
export class Preheats implements AsyncDisposable {
  readonly #deps: PreheatsDeps;
  readonly #options: PreheatsOptions;
  readonly #slots: Slots;
  readonly #roomTurn = new Slots(1);
  /** In the order in which they were started. */
  readonly #preheats = new Map<string, Preheat>();
  #isClosed = false;

  constructor(deps: PreheatsDeps, options: PreheatsOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#slots = new Slots(options.layersAtOnce);
  }

  /**
   * Throws REQUEST_MALFORMED where it names what is no image or no platform (`where` in its details says which), OVERLOADED where
   * too many run.
   */
  start(request: PreheatRequest, asker?: Asker): PreheatSnapshot {
    const { clock, newId } = this.#deps;
    const { maxImages, maxRunning, maxBytes } = this.#options;
    if (request.images.length === 0 || request.images.length > maxImages) {
      const message = `a preheat is of 1 to ${maxImages} images, not ${request.images.length}`;
      throw new AppError('REQUEST_MALFORMED', message, { details: { where: 'body.images' } });
    }
    const names = this.#namesOf(request.images);
    const platforms = request.platforms.map(platformNamed);
    const running = [...this.#preheats.values()].filter(({ ended }) => ended === undefined);
    if (this.#isClosed) throw new AppError('SHUTTING_DOWN', 'this node is shutting down');
    if (running.length >= maxRunning) {
      const message = `${maxRunning} preheats are running already: wait for one to end, or cancel one`;
      throw new AppError('OVERLOADED', message, { retryAfterMs: 10_000 });
    }
    const deps = { ...this.#deps, slots: this.#slots, roomTurn: this.#roomTurn };
    const preheat: Preheat = {
      id: newId(),
      platforms,
      images: names.map((name) => new PreheatImage(deps, name, { platforms, maxBytes })),
      startedAtMs: clock.now(),
      asker,
      cancelledBy: undefined,
      abort: new AbortController(),
      running: Promise.resolve(),
      ended: undefined,
    };
    this.#preheats.set(preheat.id, preheat);
    this.#deps.channels.notice.publish(startedNotice(snapshotOf(preheat), asker));
    preheat.running = this.#run(preheat);
    return snapshotOf(preheat);
  }

  get(id: string): PreheatSnapshot | undefined {
    const preheat = this.#preheats.get(id);
    return preheat && snapshotOf(preheat);
  }

  /** Those that run and the last that ended, the latest first. */
  list(): PreheatSummary[] {
    return [...this.#preheats.values()].reverse().map((preheat) => {
      const { images: _, ...summary } = snapshotOf(preheat);
      return summary;
    });
  }

  /** Those that run and the last `mostEnded` that ended, whole, the latest first. One that has ended is the same object again. */
  latest(mostEnded: number): PreheatSnapshot[] {
    const older = new Set(this.#endedLatestFirst().slice(mostEnded));
    return [...this.#preheats.values()]
      .filter((preheat) => !older.has(preheat))
      .reverse()
      .map((preheat) => snapshotOf(preheat));
  }

  /** Gives up what it has not pulled yet. Undefined: there is no such preheat. One that has ended stays as it is. */
  cancel(id: string, asker?: Asker): PreheatSnapshot | undefined {
    const preheat = this.#preheats.get(id);
    if (preheat === undefined) return undefined;
    if (preheat.ended === undefined) {
      preheat.cancelledBy ??= asker;
      preheat.abort.abort(new AppError('CANCELLED', 'the preheat was cancelled'));
    }
    return snapshotOf(preheat);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    const closing = new AppError('SHUTTING_DOWN', 'this node is shutting down');
    for (const { abort } of this.#preheats.values()) abort.abort(closing);
    await Promise.all([...this.#preheats.values()].map(({ running }) => running));
  }

  #namesOf(images: readonly string[]): ImageName[] {
    const byName = new Map<string, ImageName>();
    for (const [position, text] of images.entries()) {
      try {
        const name = parseImageName(text, this.#deps.names);
        byName.set(name.name, name);
      } catch (thrown) {
        const { message, details } = asAppError(thrown);
        throw new AppError('REQUEST_MALFORMED', `image ${JSON.stringify(text.slice(0, 300))}: ${message}`, {
          details: { ...details, where: `body.images.${position}` },
        });
      }
    }
    return [...byName.values()];
  }

  async #run(preheat: Preheat): Promise<void> {
    const { signal } = preheat.abort;
    const slots = new Slots(this.#options.imagesAtOnce);
    // Not aborted while it waits for its turn: each image is to say what became of it.
    const never = new AbortController().signal;
    await Promise.all(preheat.images.map((image) => slots.run(() => image.pull(signal), never)));
    await Promise.all(preheat.images.map((image) => image.settle()));
    preheat.ended = snapshotOf(preheat, this.#deps.clock.now());
    const { ended, asker, cancelledBy } = preheat;
    this.#deps.channels.notice.publish(endedNotice(ended, asker, cancelledBy));
    preheat.images = [];
    this.#forgetOld();
  }

  #forgetOld(): void {
    const { maxEnded, maxEndedLayers } = this.#options;
    let layers = 0;
    for (const [position, { id, ended }] of this.#endedLatestFirst().entries()) {
      for (const image of ended?.images ?? []) layers += image.layers.length;
      const isTooMuch = position >= maxEnded || layers > maxEndedLayers;
      if (isTooMuch && position > 0) this.#preheats.delete(id);
    }
  }

  /** By when they ended: one that took long is not forgotten for others that began after it. */
  #endedLatestFirst(): Preheat[] {
    const endedAtMs = ({ ended }: Preheat) => ended?.endedAtMs ?? 0;
    const ended = [...this.#preheats.values()].filter((preheat) => preheat.ended !== undefined);
    return ended.reverse().sort((one, other) => endedAtMs(other) - endedAtMs(one));
  }
}

function platformNamed(text: string, position: number): Platform {
  const platform = parsePlatform(text);
  if (platform !== undefined) return platform;
  const shown = JSON.stringify(text.slice(0, 100));
  throw new AppError('REQUEST_MALFORMED', `this is no platform: ${shown}; write it as linux/amd64 or linux/arm/v7`, {
    details: { where: `body.platforms.${position}` },
  });
}

function snapshotOf(preheat: Preheat, endedAtMs?: number): PreheatSnapshot {
  if (preheat.ended !== undefined) return preheat.ended;
  const { id, platforms, startedAtMs } = preheat;
  const images = preheat.images.map((image) => image.snapshot());
  const imageCounts = { waiting: 0, pulling: 0, done: 0, failed: 0, cancelled: 0 };
  for (const { state } of images) imageCounts[state]++;
  return {
    id,
    state: stateOf(preheat, imageCounts, endedAtMs !== undefined),
    platforms: platforms.map(platformText),
    startedAtMs,
    endedAtMs,
    sizeBytes: images.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    filledBytes: images.reduce((sum, { filledBytes }) => sum + filledBytes, 0),
    imageCounts,
    images,
  };
}

function stateOf(
  { abort }: Preheat,
  counts: Readonly<Record<PreheatState, number>>,
  hasEnded: boolean,
): PreheatSummary['state'] {
  // One that is cancelled when nothing was left to do has done it.
  if (abort.signal.aborted && (!hasEnded || counts.cancelled > 0)) return 'cancelled';
  if (!hasEnded) return 'running';
  return counts.failed > 0 ? 'failed' : 'done';
}
