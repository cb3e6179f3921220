import { setTimeout as delay } from 'node:timers/promises';
import { AdminClient } from './admin-client.ts';
import { CommandFailure } from './command-failure.ts';
import type { ServerEvent } from './event-stream.ts';
import { LiveScreen } from './live-screen.ts';
import { type AdminOptions, exitCodes } from './options.ts';
import { printLines } from './printing.ts';
import { Stopping } from './stopping.ts';
import { type Terminal, terminalOn } from './terminal.ts';
import { WatchLog } from './watch-log.ts';
import { type WatchChange, WatchState } from './watch-state.ts';
import { watchLines } from './watch-view.ts';

const askAgainMs = 1000;

/** Where events go. */
interface Display extends Disposable {
  show(event: ServerEvent): void;
  /** The instance does not answer; `why` for people. The next event says everything anew. Called again while that is so. */
  lost(why: string): void;
}

/** For what is read line by line: an instance that is away is told of once, and once that it is back. */
class Absence {
  #isAway = false;
  readonly #tell: (text: string) => void;

  constructor(tell: (text: string) => void) {
    this.#tell = tell;
  }

  lost(why: string): void {
    if (!this.#isAway) this.#tell(`${why}; asking again until it is back`);
    this.#isAway = true;
  }

  heard(): void {
    if (this.#isAway) this.#tell('it is back');
    this.#isAway = false;
  }
}

/** Shows pulls as they go, until it is told to stop. An instance that goes away is waited for, once it has answered. */
export async function watch(options: AdminOptions): Promise<number> {
  const client = await AdminClient.for(options, process.env);
  const terminal = terminalOn(process.stdout, process.env);
  const isScreen = terminal.isInteractive && !options.json;
  const makeDisplay = (): Display => {
    if (options.json) return new EventLines();
    return isScreen ? new Screen(terminal, client.address) : new TextLines(terminal);
  };
  using stopping = new Stopping({ keys: isScreen ? process.stdin : undefined });
  const { signal } = stopping;
  let display: Display | undefined;
  try {
    for (;;) {
      try {
        for await (const event of client.events('/api/v1/events', signal)) {
          display ??= makeDisplay();
          display.show(event);
        }
        display?.lost('the instance ended the connection');
      } catch (error) {
        if (signal.aborted) break;
        // What is wrong from the start is told; what was well is waited for.
        if (display === undefined || !(error instanceof CommandFailure) || error.kind === 'final') throw error;
        display.lost(error.message);
      }
      await delay(askAgainMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) break;
    }
  } finally {
    display?.[Symbol.dispose]();
  }
  return stopping.exitCode ?? exitCodes.ok;
}

/** With `--json`: what each event changed is a line. */
class EventLines implements Display {
  readonly #state = new WatchState();
  readonly #absence = new Absence((text) => process.stderr.write(`onepull: ${text}\n`));

  show(event: ServerEvent): void {
    this.#absence.heard();
    const change = apply(this.#state, event);
    if (change !== undefined) process.stdout.write(`${JSON.stringify(change)}\n`);
  }

  lost(why: string): void {
    this.#absence.lost(why);
  }

  [Symbol.dispose](): void {}
}

class TextLines implements Display {
  readonly #terminal: Terminal;
  readonly #state = new WatchState();
  readonly #log = new WatchLog();
  readonly #absence: Absence;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    this.#absence = new Absence((text) => terminal.print(`${new Date().toISOString()}  ${text}`));
  }

  show(event: ServerEvent): void {
    this.#absence.heard();
    const { pulls = [] } = apply(this.#state, event) ?? {};
    printLines(this.#terminal, this.#log.lines(pulls, Date.now()));
  }

  lost(why: string): void {
    this.#absence.lost(why);
  }

  [Symbol.dispose](): void {}
}

class Screen implements Display {
  readonly #terminal: Terminal;
  readonly #address: string;
  readonly #state = new WatchState();
  readonly #screen: LiveScreen;
  #lost: string | undefined;

  constructor(terminal: Terminal, address: string) {
    this.#terminal = terminal;
    this.#address = address;
    this.#screen = new LiveScreen(terminal, 'whole', () => this.#draw());
  }

  show(event: ServerEvent): void {
    this.#lost = undefined;
    apply(this.#state, event);
    this.#draw();
  }

  lost(why: string): void {
    this.#lost = `asking again: ${why}`;
    this.#draw();
  }

  [Symbol.dispose](): void {
    this.#screen[Symbol.dispose]();
  }

  #draw(): void {
    const { columns, rows } = this.#screen;
    const layout = { address: this.#address, columns, rows, lost: this.#lost, style: this.#terminal };
    this.#screen.draw(watchLines(this.#state, layout));
  }
}

function apply(state: WatchState, event: ServerEvent): WatchChange | undefined {
  try {
    return state.apply(event);
  } catch (error) {
    throw new CommandFailure('the instance sends events that this version cannot read', { cause: error });
  }
}
