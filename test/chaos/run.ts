import { setTimeout as delay } from 'node:timers/promises';
import type { LogLine } from '../support/onepull-process.ts';
import { Crowd } from './crowd.ts';
import { constantKinds } from './fault-kinds.ts';
import { FaultLog } from './fault-log.ts';
import { Injector } from './injector.ts';
import { Inquest } from './inquest.ts';
import { Internet } from './internet.ts';
import type { Ledger } from './ledger.ts';
import type { ChaosOptions } from './options.ts';
import { type PullPlan, plainPull, planPull } from './pull-plan.ts';
import { schedule } from './schedule.ts';
import { bounds, configurationFor, diskBytes, rushClients } from './settings.ts';
import { SmallDisk } from './small-disk.ts';
import { Subject } from './subject.ts';
import { TagMoves } from './tag-moves.ts';
import { buildWorld, type World } from './world.ts';

export interface Progress {
  readonly phase: 'builds content' | 'warms up' | 'in chaos' | 'pulls everything once more' | 'waits for quiet';
  readonly pulls: number;
  readonly wanted: number;
  readonly failed: number;
  readonly broken: number;
  readonly faults: number;
  readonly leftMs: number;
}

export interface RunDeps {
  readonly signal: AbortSignal;
  readonly show: (progress: Progress) => void;
  readonly command: string;
}

/** One fault in so many ms on average, whatever their number. */
const faultEveryMs = 1300;
const warmUpPulls = 8;
const sweepersAtOnce = 6;
/** What is remembered of failures is forgotten by then. */
const settleMs = 3000;

export interface RunResult {
  readonly ledger: Ledger;
  /** All that onepull logged. */
  readonly log: readonly LogLine[];
}

/** The whole of a run, from the building of its content to its ledger. Ends early, cleanly, when the signal aborts. */
export async function runChaos(options: ChaosOptions, deps: RunDeps): Promise<RunResult> {
  return new ChaosRun(options, deps).run();
}

class ChaosRun {
  readonly #options: ChaosOptions;
  readonly #deps: RunDeps;
  readonly #log = new FaultLog();
  #phase: Progress['phase'] = 'builds content';
  #chaosBeganAt = 0;

  constructor(options: ChaosOptions, deps: RunDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  async run(): Promise<RunResult> {
    const startedAt = Date.now();
    const { seed, images, clients } = this.#options;
    const world = buildWorld({ seed, images, largeLayers: Math.max(1, Math.round(images / 60)) });
    const { faults, leftOut } = await this.#possibleFaults();
    const { internet: started, urls } = await Internet.start({ world, bytesPerSecond: bounds.bytesPerSecond });
    await using internet = started;
    await using subject = await Subject.start({
      configuration: configurationFor(world, urls, { faults, clients, accessLog: this.#options.log !== undefined }),
      diskBytes: faults.includes('full') ? diskBytes(world) : undefined,
    });
    await using crowd = new Crowd({ world, origin: subject.url, lifeline: subject.lifeline.memory });
    this.#deps.signal.addEventListener('abort', () => crowd.leave(), { once: true });
    const moves = new TagMoves(world, seed, internet);
    const inquest = new Inquest({ world, subject, internet, log: this.#log, moves }, this.#options);
    using _ = this.#ticker(inquest);

    this.#phase = 'warms up';
    await moves.moveAll();
    for (const [image, { tag }] of world.images.slice(0, warmUpPulls).entries())
      await crowd.pull(plainPull(image, tag));
    await inquest.noteWarm();
    const injector = new Injector({ internet, subject, crowd, log: this.#log }, { rushClients: rushClients(clients) });
    await this.#chaos(world, faults, { crowd, injector, moves, inquest });
    if (!this.#deps.signal.aborted) await this.#sweep(world, crowd, inquest);
    this.#phase = 'waits for quiet';
    await inquest.close(this.#deps.signal.aborted);
    const { command, signal } = this.#deps;
    const endedEarly = signal.aborted;
    const { rushes } = injector;
    for (const rush of rushes) inquest.noteRush(rush);
    const ledger = await inquest.ledger({ command, startedAt, endedEarly, faults, leftOut, rushes });
    return { ledger, log: subject.log };
  }

  /** Pulls at a steady pace, as many as are wanted, while faults come and go. */
  async #chaos(
    world: World,
    faults: readonly string[],
    { crowd, injector, moves, inquest }: { crowd: Crowd; injector: Injector; moves: TagMoves; inquest: Inquest },
  ): Promise<void> {
    const { seed, pulls, clients } = this.#options;
    const over = new AbortController();
    const signal = AbortSignal.any([this.#deps.signal, over.signal]);
    this.#phase = 'in chaos';
    this.#chaosBeganAt = Date.now();
    const kinds = faults.filter((kind) => !constantKinds.has(kind));
    const injected = injector.run(schedule({ seed, kinds, everyMs: faultEveryMs }), signal);
    const moved = moves.run(signal);
    const everyMs = (this.#options.minutes * 60_000) / pulls;
    let next = 0;
    const client = async () => {
      while (next < pulls && !signal.aborted) {
        const n = next++;
        await delay(Math.max(0, this.#chaosBeganAt + n * everyMs - Date.now()), undefined, { signal }).catch(() => {});
        if (signal.aborted) return;
        await this.#pull(crowd, inquest, planPull(world, { seed, leaving: faults.includes('leave') }, n));
      }
    };
    try {
      await Promise.all(Array.from({ length: clients }, client));
    } finally {
      over.abort();
      await Promise.all([injected, moved]);
    }
  }

  /** Everything once more, by clients that have all patience: what fails now is wedged. */
  async #sweep(world: World, crowd: Crowd, inquest: Inquest): Promise<void> {
    this.#phase = 'pulls everything once more';
    await delay(settleMs);
    const left = world.images.entries();
    const sweeper = async () => {
      for (const [image, { tag }] of left) {
        inquest.noteSwept(await crowd.pull(plainPull(image, tag)));
      }
    };
    await Promise.all(Array.from({ length: sweepersAtOnce }, sweeper));
  }

  async #pull(crowd: Crowd, inquest: Inquest, plan: PullPlan): Promise<void> {
    const report = await crowd.pull(plan);
    if (!this.#deps.signal.aborted || report.result === 'complete') inquest.note(report);
  }

  async #possibleFaults(): Promise<{ faults: readonly string[]; leftOut: readonly string[] }> {
    const { faults } = this.#options;
    const reason = faults.includes('full') ? await SmallDisk.cannot() : false;
    if (reason === false) return { faults, leftOut: [] };
    return { faults: faults.filter((name) => name !== 'full'), leftOut: [`full: ${reason}`] };
  }

  #ticker(inquest: Inquest): DisposableStack {
    const stack = new DisposableStack();
    const show = () => {
      const { total, failed } = inquest.counts;
      const { pulls: wanted, minutes } = this.#options;
      const endsAt = this.#chaosBeganAt === 0 ? Date.now() + minutes * 60_000 : this.#chaosBeganAt + minutes * 60_000;
      const leftMs = Math.max(0, endsAt - Date.now());
      const faults = this.#log.all.length;
      this.#deps.show({
        phase: this.#phase,
        pulls: total,
        wanted,
        failed,
        broken: inquest.brokenCount,
        faults,
        leftMs,
      });
    };
    stack.adopt(setInterval(show, 500), clearInterval);
    return stack;
  }
}
