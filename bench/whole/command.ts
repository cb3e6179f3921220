import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { resultsFolder } from '../support/results.ts';

const program = fileURLToPath(new URL('../main.ts', import.meta.url));

interface Options {
  readonly quick?: boolean;
  readonly out: string;
}

export function addWhole(bench: Command, scenarios: readonly string[]): void {
  bench
    .command('all', { isDefault: true })
    .description(`Everything, one after the other: ${scenarios.join(', ')}.`)
    .option('--quick', 'a few minutes: each of them with --quick')
    .option('--out <dir>', 'where results go', resultsFolder)
    .action((options: Options) => runAll(scenarios, options));
}

/**
 * Each in a process of its own: what one leaves behind in memory is no load of the next, and one that fails does not take
 * the others with it. The results say by which command each was made.
 */
async function runAll(scenarios: readonly string[], { quick = false, out }: Options): Promise<void> {
  const failed: string[] = [];
  for (const [n, scenario] of scenarios.entries()) {
    process.stderr.write(`\n=== ${scenario} (${n + 1} of ${scenarios.length})\n`);
    const args = [scenario, ...(quick ? ['--quick'] : []), ...(out === resultsFolder ? [] : ['--out', out])];
    const child = spawn(process.execPath, [program, ...args], { stdio: 'inherit' });
    const endWithUs = () => child.kill('SIGTERM');
    // Before the folders that it writes to go.
    process.prependOnceListener('exit', endWithUs);
    const [code] = await once(child, 'exit');
    process.off('exit', endWithUs);
    if (code !== 0) failed.push(scenario);
  }
  if (failed.length === 0) return;
  process.stderr.write(`\nfailed: ${failed.join(', ')}\n`);
  process.exitCode = 1;
}
