import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort, TemporaryDirectory, untilUp } from '../../../test/support/loopback.ts';
import { answers } from './answers.ts';
import type { RunningSubject, Subject } from './subject.ts';

export interface OnepullVariant {
  readonly name: string;
  readonly title: string;
  /** Which onepull: the folder of its checkout. This one unless told. */
  readonly checkout?: string | undefined;
  /** Sections of the configuration. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Added to its environment. */
  readonly env?: Readonly<Record<string, string>>;
}

const ownCheckout = fileURLToPath(new URL('../../..', import.meta.url));
/** How long it may take to write down what it has to, such as a profile. */
const endDeadlineMs = 15_000;

/**
 * `bin/onepull serve` whose log goes to a file, so that nobody but it spends time on lines: where requests are counted in
 * tens of thousands for each second, reading its log would be a load of its own.
 */
export function onepullServer(variant: OnepullVariant): Subject {
  return { name: variant.name, title: variant.title, version: '', start: (upstream) => startServer(variant, upstream) };
}

async function startServer({ checkout = ownCheckout, settings = {}, env = {} }: OnepullVariant, upstreamUrl: string) {
  const folder = await TemporaryDirectory.make();
  const host = `127.0.0.1:${await freePort()}`;
  const { storage = {}, ...others } = settings as { storage?: object };
  const configuration = {
    listen: host,
    admin: `127.0.0.1:${await freePort()}`,
    upstreams: { 'registry.example': { url: upstreamUrl } },
    ...others,
    storage: { path: join(folder.path, 'data'), ...storage },
  };
  const configFile = join(folder.path, 'onepull.yaml');
  await writeFile(configFile, JSON.stringify(configuration)); // JSON is YAML
  const logFile = join(folder.path, 'log');
  const log = await open(logFile, 'w');
  const child = spawn(join(checkout, 'bin/onepull'), ['serve', '--config', configFile], {
    cwd: folder.path,
    env: { ...process.env, ...env },
    stdio: ['ignore', log.fd, log.fd],
  });
  await log.close();
  const endWithUs = () => child.kill('SIGKILL');
  // Before the folders that it writes to go.
  process.prependOnceListener('exit', endWithUs);
  const close = async () => {
    await end(child);
    process.off('exit', endWithUs);
    await folder[Symbol.asyncDispose]();
  };
  const origin = `${'tls' in ((others as { server?: object }).server ?? {}) ? 'https' : 'http'}://${host}`;
  try {
    await untilUp(() => answers(origin, () => isRunning(child)), 'onepull', 20_000);
  } catch (cause) {
    const text = await readFile(logFile, 'utf8');
    await close();
    throw new Error(`onepull does not answer\n${text.slice(-1000)}`, { cause });
  }
  return { origin, pid: child.pid, [Symbol.asyncDispose]: close } satisfies RunningSubject;
}

async function end(child: ChildProcess): Promise<void> {
  if (!isRunning(child)) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const patience = new AbortController();
  await Promise.race([exited, delay(endDeadlineMs, undefined, { signal: patience.signal })]);
  patience.abort();
  child.kill('SIGKILL');
  await exited;
}

function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}
