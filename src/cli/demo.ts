import { Interruption } from './demo/interruption.ts';
import { Phase, type PhaseKind, type PhaseResult } from './demo/phase.ts';
import { type DemoPlan, defaultNodes, mostNodes, planFor } from './demo/plan.ts';
import { ProgressBars } from './demo/progress-bars.ts';
import { ProgressLines } from './demo/progress-lines.ts';
import { resultOf } from './demo/result.ts';
import { Stage } from './demo/stage.ts';
import { heading, introduction, lookAround, nextSteps } from './demo/story.ts';
import { sentence, tableText } from './demo/table.ts';
import { type DemoOptions, exitCodes } from './options.ts';
import { type Terminal, terminalOn, wrapped } from './terminal.ts';

/** Shows the effect on this machine: the same crowd without and with onepull. Resolves with the exit code. */
export async function demo(options: DemoOptions): Promise<number> {
  const nodes = options.nodes ?? defaultNodes;
  if (nodes > mostNodes) {
    process.stderr.write(`onepull: ${nodes} nodes are more than one machine can play; the most is ${mostNodes}\n`);
    return exitCodes.usage;
  }
  // With --json, stdout is for the result alone.
  const terminal = terminalOn(options.json ? process.stderr : process.stdout, process.env);
  using interruption = new Interruption();
  using output = new BrokenOutput([process.stdout, process.stderr]);
  try {
    await run(planFor(nodes), options, terminal, [interruption.happened, output.broken]);
    return exitCodes.ok;
  } catch (error) {
    if (output.isBroken) return exitCodes.failed;
    if (interruption.exitCode !== undefined) {
      terminal.print('\nStopped. Nothing is left behind.');
      return interruption.exitCode;
    }
    process.stderr.write(`\nonepull: the demo failed: ${error instanceof Error ? error.message : String(error)}\n`);
    return exitCodes.failed;
  }
}

async function run(
  plan: DemoPlan,
  { json, serve }: DemoOptions,
  terminal: Terminal,
  threats: readonly Promise<never>[],
): Promise<void> {
  await using stage = await Stage.open(plan);
  terminal.print(introduction(plan, stage.image.totalBytes));
  const play = (kind: PhaseKind): Promise<PhaseResult> => {
    terminal.print(heading(kind, terminal));
    return new Phase(stage, { kind, nodes: plan.nodes }).run(
      (first) => (terminal.isInteractive ? new ProgressBars(terminal, first) : new ProgressLines(terminal)),
      threats,
    );
  };
  const onItsOwn = await play('onItsOwn');
  const throughOnepull = await play('throughOnepull');
  const result = resultOf(plan, stage.image.totalBytes, { onItsOwn, throughOnepull });
  terminal.print(`\n${tableText(result, terminal)}\n\n${wrapped(sentence(result), Math.min(terminal.columns, 100))}\n`);
  if (json) process.stdout.write(`${JSON.stringify(result, undefined, 2)}\n`);
  if (!serve) return terminal.print(nextSteps());
  terminal.print(lookAround(stage));
  await Promise.race([stage.onepull.died, ...threats]);
}

/** `onepull demo | head -1`: whoever read us has gone, and there is nobody left to show anything to. */
class BrokenOutput implements Disposable {
  readonly broken: Promise<never>;
  readonly #streams: readonly NodeJS.WriteStream[];
  readonly #onError: (error: Error) => void;
  isBroken = false;

  constructor(streams: readonly NodeJS.WriteStream[]) {
    const { promise, reject } = Promise.withResolvers<never>();
    this.broken = promise;
    this.broken.catch(() => {});
    this.#streams = streams;
    this.#onError = (error) => {
      this.isBroken = true;
      reject(error);
    };
    for (const stream of streams) stream.on('error', this.#onError);
  }

  [Symbol.dispose](): void {
    for (const stream of this.#streams) stream.off('error', this.#onError);
  }
}
