import type { Answer, dropped, Stop } from '../../../src/cli/demo/answer.ts';
import { DemoRegistry, type DemoRegistryOptions } from '../../../src/cli/demo/registry.ts';
import type { Digest } from '../../../src/core/digest.ts';
import { monotonicNs } from '../monotonic.ts';

interface Mark {
  readonly reached: PromiseWithResolvers<void>;
  readonly released: PromiseWithResolvers<'go'>;
}

/**
 * The upstream of measurements: a well-behaved registry whose body of one blob can be held at marks and let go mark by
 * mark, with the time noted at which the next bytes were about to be written.
 */
export class BenchRegistry extends DemoRegistry {
  #digest: Digest | undefined;
  #marks = new Map<number, Mark>();

  static override async start(options: DemoRegistryOptions = {}): Promise<BenchRegistry> {
    const registry = new BenchRegistry(options);
    await registry.server.open();
    return registry;
  }

  /** Once it has sent so many bytes it cuts all connections and refuses new ones, until `comeBack`. */
  dieAfter(bytes: number): void {
    void this.tally.until((tally) => tally.bytesSent() >= bytes).then(() => this.server.shut());
  }

  comeBack(): Promise<void> {
    return this.server.open();
  }

  /** Bodies of `digest` stop at each of these offsets of the blob from now on, in place of what was held before. */
  hold(digest: Digest, offsets: readonly number[]): void {
    this.#digest = digest;
    this.#marks = new Map(
      offsets.map((offset) => [offset, { reached: Promise.withResolvers(), released: Promise.withResolvers() }]),
    );
  }

  /** Resolves once a body stands at `offset` and all before it has been handed to the system. */
  async standsAt(offset: number): Promise<void> {
    await this.#mark(offset).reached.promise;
  }

  /** Lets the body go on from `offset`. Returns the monotonic time in ns right before the next bytes are written. */
  release(offset: number): number {
    const at = monotonicNs();
    this.#mark(offset).released.resolve('go');
    return at;
  }

  protected override async shape(answer: Answer): Promise<Answer | typeof dropped> {
    if (answer.digest === undefined || answer.digest !== this.#digest) return answer;
    const stops = [...this.#marks].map(([offset, mark]): Stop => {
      const reached = () => {
        mark.reached.resolve();
        return mark.released.promise;
      };
      return { atByte: offset - answer.start, reached };
    });
    const within = stops.filter(({ atByte }) => atByte >= 0 && atByte < answer.body.length);
    return { ...answer, stops: [...answer.stops, ...within] };
  }

  #mark(offset: number): Mark {
    const mark = this.#marks.get(offset);
    if (mark === undefined) throw new Error(`nothing is held at byte ${offset}`);
    return mark;
  }
}
