import type { Terminal } from '../../src/cli/terminal.ts';
import { formatDuration } from '../../src/core/units.ts';
import type { Progress } from './run.ts';

const printEveryMs = 10_000;
const rateOverMs = 5000;

/** One line that is written over on a terminal; elsewhere a line now and then. */
export class ProgressLine {
  readonly #terminal: Terminal;
  readonly #seen: { at: number; pulls: number }[] = [];
  #printedAt = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  show(progress: Progress): void {
    const now = performance.now();
    const text = this.#textOf(progress, now);
    if (this.#terminal.isInteractive) {
      this.#terminal.output.write(`\r\u001b[K${text.slice(0, this.#terminal.columns - 1)}`);
    } else if (now - this.#printedAt >= printEveryMs) {
      this.#printedAt = now;
      this.#terminal.print(text);
    }
  }

  end(): void {
    if (this.#terminal.isInteractive) this.#terminal.output.write('\r\u001b[K');
  }

  #textOf({ phase, pulls, wanted, failed, broken, faults, leftMs }: Progress, now: number): string {
    this.#seen.push({ at: now, pulls });
    while ((this.#seen[0]?.at ?? now) < now - rateOverMs) this.#seen.shift();
    const [first] = this.#seen;
    const perSecond = first === undefined || first.at === now ? 0 : ((pulls - first.pulls) * 1000) / (now - first.at);
    const failures = broken === 0 ? `${failed} failed` : `${failed} failed, ${broken} against a promise`;
    const time = phase === 'in chaos' ? `, ${formatDuration(leftMs)} left` : '';
    return `${phase}: ${pulls}/${wanted} pulls, ${perSecond.toFixed(1)}/s, ${failures}, ${faults} faults${time}`;
  }
}
