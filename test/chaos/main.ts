import { writeFile } from 'node:fs/promises';
import { Interruption } from '../../src/cli/demo/interruption.ts';
import { terminalOn } from '../../src/cli/terminal.ts';
import { parseOptions } from './options.ts';
import { ProgressLine } from './progress-line.ts';
import { brokenPromises } from './promises.ts';
import { reportText } from './report.ts';
import { runChaos } from './run.ts';
import { bounds } from './settings.ts';

/** `npm run chaos`: see docs/RELIABILITY.md. */
const print = (text: string) => void process.stdout.write(`${text}\n`);
const args = process.argv.slice(2);
const options = parseOptions(args, print);
if (options !== undefined) {
  using interruption = new Interruption();
  const abort = new AbortController();
  interruption.happened.catch(() => abort.abort());
  // With its seed, so that the same run can be made again whatever the command line was.
  const seeded = args.includes('--seed') ? args : ['--seed', String(options.seed), ...args];
  const command = ['npm run chaos --', ...seeded].join(' ');
  const terminal = terminalOn(process.stderr, process.env);
  terminal.print(command);
  const line = new ProgressLine(terminal);
  const { ledger, log } = await runChaos(options, {
    signal: abort.signal,
    show: (progress) => line.show(progress),
    command,
  });
  line.end();
  const broken = brokenPromises(ledger, bounds);
  print(reportText(ledger, broken));
  if (options.json !== undefined) {
    await writeFile(options.json, `${JSON.stringify({ ...ledger, promisesBroken: broken }, undefined, 2)}\n`);
  }
  if (options.log !== undefined)
    await writeFile(options.log, log.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
  process.exitCode = broken.length > 0 ? 1 : (interruption.exitCode ?? 0);
}
