import { formatDuration, formatSize } from '../../core/units.ts';
import { Crowd, type CrowdProgress } from './crowd.ts';
import type { Content } from './image.ts';
import { PullsWatch } from './pulls-watch.ts';
import { repository, type Stage, tag } from './stage.ts';

export type PhaseKind = 'onItsOwn' | 'throughOnepull';

/** A moment of a phase, for the screen. */
export interface PhaseView {
  readonly layers: readonly { readonly sizeBytes: number; readonly share: number; readonly note: string }[];
  readonly nodes: number;
  readonly nodesDone: number;
  /** Of all bytes that all nodes want, how much has arrived, from 0 to 1. */
  readonly share: number;
  readonly note: string;
}

/** What a phase did, as the registry counted and the nodes' clocks say. */
export interface PhaseResult {
  readonly upstreamRequests: number;
  /** Content only: manifests, config and layers. */
  readonly upstreamBytes: number;
  /** Ascending. */
  readonly nodesMs: readonly number[];
}

export interface PhaseDisplay extends Disposable {
  show(view: PhaseView): void;
}

const showEveryMs = 100;

/** Lets all nodes pull at once, and measures. Rejects as soon as a node fails, or with the first of `threats`. */
export class Phase {
  readonly #stage: Stage;
  readonly #kind: PhaseKind;
  readonly #nodes: number;

  constructor(stage: Stage, options: { kind: PhaseKind; nodes: number }) {
    this.#stage = stage;
    this.#kind = options.kind;
    this.#nodes = options.nodes;
  }

  async run(openDisplay: (first: PhaseView) => PhaseDisplay, threats: readonly Promise<never>[]): Promise<PhaseResult> {
    const { registry, onepull, credentials, image } = this.#stage;
    const isShared = this.#kind === 'throughOnepull';
    registry.tally.reset();
    const blobs = [...image.layers, image.config].map(({ digest }) => digest);
    const target = isShared ? { origin: `http://${onepull.host}` } : { origin: registry.url, credentials };
    await using watch = isShared ? new PullsWatch(onepull.adminUrl) : undefined;
    const startedAt = performance.now();
    let endedAt: number | undefined;
    await using crowd = new Crowd({ ...target, nodes: this.#nodes, repository, tag, blobs });
    const view = () => this.#view(crowd.progress, (endedAt ?? performance.now()) - startedAt, watch);
    using display = openDisplay(view());
    const timer = setInterval(() => display.show(view()), showEveryMs);
    try {
      const nodesMs = await Promise.race([crowd.finished, onepull.died, ...threats]);
      endedAt = performance.now();
      await watch?.lookUntilDone(blobs);
      const { tally } = registry;
      return {
        upstreamRequests: tally.count(),
        upstreamBytes: tally.bytesSent(),
        nodesMs: nodesMs.toSorted((a, b) => a - b),
      };
    } finally {
      clearInterval(timer);
      display.show(view());
    }
  }

  #view({ nodesDone, arrivedBytes }: CrowdProgress, elapsedMs: number, watch: PullsWatch | undefined): PhaseView {
    const { layers, config } = this.#stage.image;
    const nodes = this.#nodes;
    const wantedBytes = nodes * [...layers, config].reduce((sum, { bytes }) => sum + bytes.length, 0);
    const servedBytes = arrivedBytes.reduce((sum, bytes) => sum + bytes, 0);
    return {
      layers: layers.map((layer, n) => {
        const sizeBytes = layer.bytes.length;
        const share =
          watch === undefined ? (arrivedBytes[n] ?? 0) / nodes : (watch.layer(layer.digest)?.filledBytes ?? 0);
        return { sizeBytes, share: share / sizeBytes, note: this.#layerNote(layer, watch) };
      }),
      nodes,
      nodesDone,
      share: servedBytes / wantedBytes,
      note: `${formatSize(servedBytes)} served, ${formatDuration(elapsedMs)}`,
    };
  }

  #layerNote({ digest, bytes }: Content, watch: PullsWatch | undefined): string {
    const { tally } = this.#stage.registry;
    const { current } = tally.concurrency(digest);
    const { state = 'missing', waiters = 0 } = watch?.layer(digest) ?? {};
    const fetchedBytes = tally.bytesSent(digest);
    if (fetchedBytes === 0 && state === 'missing') return 'not asked for yet';
    const fetched = `fetched ${(fetchedBytes / bytes.length).toFixed(1)}x`;
    if (watch === undefined) return current === 0 ? fetched : `${fetched}, ${current} pulls at once`;
    return waiters === 0 ? `${fetched}, ${state}` : `${fetched}, ${state} for ${waiters} nodes`;
  }
}
