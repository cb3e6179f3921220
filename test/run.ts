import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * `npm test`: every test, those of the byte path also with threads that answer clients.
 *
 * The tests run real servers, clients and disks, two files at a time. Where a few files fail, each is run once more, whole and
 * with the machine to itself: what fails again has failed; what passes then is named as unstable, last, and wants mending.
 */
interface Suite {
  readonly files: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

const suites: readonly Suite[] = [
  { files: ['test/integration/*.test.ts', 'test/faults/*.test.ts'], env: { TEST_THREADS: '2' } },
  { files: ['src/**/*.test.ts', 'test/**/*.test.ts'], env: {} },
];

/** More than this is no accident. */
const mostRepeated = 4;

const reporter = new URL('./support/failed-files-reporter.ts', import.meta.url).href;

async function main(): Promise<number> {
  const unstable: string[] = [];
  for (const suite of suites) {
    const failed = await run(suite, 2);
    if (failed === undefined) return 1;
    if (failed.length > mostRepeated) return 1;
    if (failed.length === 0) continue;
    console.log(`\nFailed, and run once more on their own:\n${failed.map((file) => `  ${file}`).join('\n')}\n`);
    const again = await run({ ...suite, files: failed }, 1);
    if (again === undefined || again.length > 0) return 1;
    unstable.push(...failed);
  }
  for (const file of unstable) console.log(`unstable: ${file} failed at first and passed on its own`);
  return 0;
}

/** The files in which a test failed. Undefined: something else did. */
async function run({ files, env }: Suite, concurrency: number): Promise<readonly string[] | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'onepull-test-'));
  const list = join(folder, 'failed');
  try {
    const reporters = ['spec', 'stdout', reporter, list].flatMap((value, index) =>
      index % 2 === 0 ? ['--test-reporter', value] : ['--test-reporter-destination', value],
    );
    const limits = [`--test-concurrency=${concurrency}`, '--test-timeout=180000'];
    const child = spawn(process.execPath, ['--test', ...limits, ...reporters, ...files], {
      stdio: 'inherit',
      env: { ...process.env, ...env },
    });
    const [code] = await once(child, 'exit');
    const failed = readFileSync(list, 'utf8').split('\n').filter(Boolean);
    return code !== 0 && failed.length === 0 ? undefined : failed;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main();
