import { setTimeout as delay } from 'node:timers/promises';
import type { PreheatAnswer } from './admin-answers.ts';
import * as answers from './admin-answers.ts';
import { AdminClient } from './admin-client.ts';
import { CommandFailure } from './command-failure.ts';
import { exitCodes, type PreheatOptions } from './options.ts';
import { PreheatLines } from './preheat-lines.ts';
import { PreheatScreen } from './preheat-screen.ts';
import { printJson } from './printing.ts';
import { Stopping } from './stopping.ts';
import { terminalOn } from './terminal.ts';
import { type Line, lineText, piece } from './text-line.ts';

const lookEveryMs = 250;
/** The instance may restart meanwhile: then it has forgotten the preheat, and says so. */
const misses = 20;

/** Shows a preheat while it goes on. Disposed, its last state stays. */
export interface PreheatDisplay extends Disposable {
  show(preheat: PreheatAnswer): void;
}

/** Has images pulled before anybody asks for them. Exit code 0: all of them are there; 1: some are not. */
export async function preheat(images: readonly string[], options: PreheatOptions): Promise<number> {
  const client = await AdminClient.for(options, process.env);
  // With --json, stdout is for the result alone.
  const terminal = terminalOn(options.json ? process.stderr : process.stdout, process.env);
  using stopping = new Stopping();
  const asked = { images, platforms: options.platform ?? [] };
  const started = await client.send('POST', '/api/v1/preheats', answers.preheat, asked);
  if (options.wait === false) return leave(started, options);
  let last = started;
  {
    using display: PreheatDisplay = terminal.isInteractive ? new PreheatScreen(terminal) : new PreheatLines(terminal);
    try {
      for await (const next of states(client, started, stopping.signal)) {
        last = next;
        display.show(next);
      }
    } catch (error) {
      if (!stopping.signal.aborted) throw error;
    }
  }
  if (stopping.exitCode !== undefined && !isOver(last)) return await cancel(client, last, stopping.exitCode);
  if (options.json) printJson(last);
  // The last word is whole, whatever the terminal's width: it says why.
  for (const line of summary(last)) terminal.print(lineText(line, terminal));
  return last.images.every(({ state }) => state === 'done') ? exitCodes.ok : exitCodes.failed;
}

function leave({ id, ...rest }: PreheatAnswer, { json }: PreheatOptions): number {
  if (json) printJson({ id, ...rest });
  else process.stdout.write(`${id}\n`);
  return exitCodes.ok;
}

async function* states(
  client: AdminClient,
  started: PreheatAnswer,
  signal: AbortSignal,
): AsyncGenerator<PreheatAnswer> {
  const path = `/api/v1/preheats/${encodeURIComponent(started.id)}`;
  let last = started;
  let missed = 0;
  yield last;
  while (!isOver(last)) {
    await delay(lookEveryMs, undefined, { signal });
    try {
      last = await client.get(path, answers.preheat, signal);
      missed = 0;
      yield last;
    } catch (error) {
      signal.throwIfAborted();
      missed++;
      if (!(error instanceof CommandFailure) || error.kind !== 'passing' || missed >= misses) throw error;
    }
  }
}

/** Ctrl-C: what nobody waits for any more is not pulled on. */
async function cancel(client: AdminClient, { id }: PreheatAnswer, exitCode: number): Promise<number> {
  const path = `/api/v1/preheats/${encodeURIComponent(id)}`;
  try {
    await client.send('DELETE', path, answers.anything);
    process.stderr.write('Cancelled. What is here already stays; started again, it goes on from there.\n');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    process.stderr.write(`onepull: it could not be cancelled, and goes on: ${why}\n`);
  }
  return exitCode;
}

/** Not where only all images are: whether they are here is looked at once more, at the end. */
function isOver({ state }: PreheatAnswer): boolean {
  return state === 'done' || state === 'failed' || state === 'cancelled';
}

function summary({ images }: PreheatAnswer): Line[] {
  const failed = images.filter(({ state }) => state !== 'done');
  const all = images.length === 1 ? 'The image is here.' : `All ${images.length} images are here.`;
  const warnings = images.flatMap(({ image, warning }) =>
    warning === undefined ? [] : [[piece(`${image}: ${warning}`, 'yellow')]],
  );
  if (failed.length === 0) return [[piece(all, 'green')], ...warnings];
  const [only] = images;
  if (images.length === 1 && only !== undefined) return [[piece(`Failed: ${only.error ?? only.state}`, 'red')]];
  return [
    [piece(`${failed.length} of ${images.length} failed:`, 'red')],
    ...failed.map(({ image, state, error }) => [piece(`  ${image}: ${error ?? state}`)]),
    ...warnings,
  ];
}
