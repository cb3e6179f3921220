import { setTimeout as delay } from 'node:timers/promises';
import type { Crowd, RushReport } from './crowd.ts';
import { type EndpointName, kindNamed } from './fault-kinds.ts';
import type { FaultLog, FaultWindow } from './fault-log.ts';
import type { Internet } from './internet.ts';
import { type PlannedFault, placeOf } from './schedule.ts';
import { chanceOf } from './seeds.ts';
import type { Subject } from './subject.ts';

interface Deps {
  readonly internet: Internet;
  readonly subject: Subject;
  readonly crowd: Crowd;
  readonly log: FaultLog;
}

export interface InjectorOptions {
  /** Requests at once of a rush. */
  readonly rushClients: number;
}

/**
 * Brings faults about, each at its time.
 *
 * Invariants: a fault stands in the log before it strikes until after it is gone; what strikes where another one still
 * does waits for it; after `run` nothing is wrong any more, whatever ended it.
 */
export class Injector {
  readonly #deps: Deps;
  readonly #options: InjectorOptions;
  readonly rushes: RushReport[] = [];
  /** The last fault of each place. */
  readonly #turns = new Map<string, Promise<void>>();

  constructor(deps: Deps, options: InjectorOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Until the signal; then what lasts is ended and what was begun is waited for. */
  async run(faults: Iterable<PlannedFault>, signal: AbortSignal): Promise<void> {
    const startedAt = Date.now();
    const running = new Set<Promise<void>>();
    for (const fault of faults) {
      await asleep(fault.fromMs - (Date.now() - startedAt), signal);
      if (signal.aborted) break;
      const done: Promise<void> = this.#inject(fault, signal).finally(() => running.delete(done));
      running.add(done);
    }
    await Promise.all(running);
  }

  #inject(fault: PlannedFault, signal: AbortSignal): Promise<void> {
    const { target } = fault;
    const place = placeOf(kindNamed(fault.kind), target);
    const before = this.#turns.get(place) ?? Promise.resolve();
    const turn = before.then(() => {
      if (signal.aborted) return undefined;
      return target === 'onepull' ? this.#atSubject(fault) : this.#atTarget(fault, target, signal);
    });
    this.#turns.set(
      place,
      turn.catch(() => {}),
    );
    return turn;
  }

  async #atTarget(fault: PlannedFault, target: EndpointName | 'clients', signal: AbortSignal): Promise<void> {
    const { internet, log } = this.#deps;
    const window = log.begin(fault, Date.now());
    try {
      if (target === 'clients') return await this.#rush(fault, signal);
      await internet.begin(target, fault);
      await asleep(fault.lengthMs, signal);
      await internet.finish(target, fault.id);
    } finally {
      window.to = Date.now();
    }
  }

  async #rush(fault: PlannedFault, signal: AbortSignal): Promise<void> {
    const image = fault.seed % 8;
    const rush = this.#deps.crowd.rush(image, this.#options.rushClients);
    await asleep(fault.lengthMs, signal);
    this.#deps.crowd.calm();
    this.rushes.push(await rush);
  }

  async #atSubject(fault: PlannedFault): Promise<void> {
    const { subject, log } = this.#deps;
    const window: FaultWindow = log.begin(fault, Date.now());
    const chance = chanceOf(fault.seed, 'subject');
    const { lengthMs } = fault;
    try {
      if (fault.kind === 'kill') await subject.restart('SIGKILL', lengthMs);
      else if (fault.kind === 'term') await subject.restart('SIGTERM', lengthMs);
      else if (fault.kind === 'freeze') await subject.freeze(lengthMs);
      else if (fault.kind === 'flip') await subject.flip(chance);
      else if (fault.kind === 'full') await subject.fillDisk(lengthMs);
      else if (fault.kind === 'no-catalog') await subject.restart('SIGKILL', lengthMs, () => subject.removeCatalog());
      else if (fault.kind === 'flip-restart') {
        const signal = chance.chance(0.5) ? 'SIGKILL' : 'SIGTERM';
        await subject.restart(signal, lengthMs, async () => void (await subject.flip(chance)));
      } else throw new Error(`nobody knows how to bring about ${fault.kind}`);
    } finally {
      window.to = Date.now();
    }
  }
}

/** Sleeps; the signal ends it early. */
async function asleep(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await delay(ms, undefined, { signal }).catch(() => {});
}
