import { flushCompileCache } from 'node:module';
import { type App, startApp } from '../app.ts';
import { loadConfig, redactedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import type { SettingInForce } from '../config/settings-in-force.ts';
import { productVersion } from '../config/version.ts';
import { addressText } from '../core/address.ts';
import { asAppError } from '../core/errors.ts';
import { Channels } from '../telemetry/channels.ts';
import { Log } from '../telemetry/log.ts';
import { CommandFailure, configFailure } from './command-failure.ts';
import { descriptorLimit } from './descriptor-limit.ts';
import { exitOnFault } from './fault-watch.ts';
import { exitCodes, type ServeOptions } from './options.ts';

/** Once no answer is open: how long the rest may take to be put away. A disk that hangs must not keep the process. */
const closeWithinMs = 15_000;

/** Runs the cache until it is told to stop. Resolves with the exit code. */
export async function serve(options: ServeOptions): Promise<number> {
  const { config: file, ...flags } = options;
  const loaded = await loadConfig({ file, environment: process.env, flags: { ...flags } });
  if (loaded.kind === 'problems') throw configFailure(loaded.problems, file);
  const { config, notices, settings } = loaded;
  const channels = new Channels();
  await using log = new Log({ channels }, config.log);
  const stop = stopSignals(channels);
  for (const message of notices) channels.notice.publish({ level: 'warn', message });
  let app: App | undefined;
  exitOnFault({
    process,
    channels,
    async leave() {
      try {
        await app?.[Symbol.asyncDispose]();
      } finally {
        await log[Symbol.asyncDispose]();
      }
    },
  });
  try {
    const limit = await descriptorLimit();
    const given = { env: process.env, settings, descriptorLimit: limit };
    app = await startApp(config, { channels, log, processMetrics: true, ...given });
  } catch (error) {
    throw startFailure(error, settings);
  }
  announce(channels, app, config);
  // In a checkout, so that the next start finds what Node made of the sources however this one ends.
  flushCompileCache();
  const isClosed = await run(app, stop, config.server.shutdownTimeoutMs);
  const message = isClosed ? 'stopped' : 'stopped without having closed everything';
  channels.notice.publish({ level: isClosed ? 'info' : 'error', message, fields: { event: 'stopped' } });
  if (isClosed) return exitCodes.ok;
  await log[Symbol.asyncDispose]();
  process.exit(exitCodes.failed);
}

/** Of an address that cannot be had it says who set it: a variable that was exported for the commands, too, moves `admin`. */
function startFailure(error: unknown, settings: readonly SettingInForce[]): CommandFailure {
  const { message, details } = asAppError(error);
  const source = settings.find(({ path }) => path === details.key)?.source;
  const hint = source === undefined || source === 'default' ? undefined : `${source} sets it`;
  return new CommandFailure(message, { hint, cause: error });
}

function announce(channels: Channels, app: App, config: Config): void {
  const fields = {
    event: 'listening',
    listen: addressText(app.listen),
    admin: addressText(app.admin),
    version: productVersion(),
    config: redactedConfig(config),
  };
  channels.notice.publish({ level: 'info', message: 'ready for pulls', fields });
}

/**
 * Until the first signal; then responses may finish within the bound. A second signal cuts them. Resolves with whether
 * all could be closed.
 */
async function run(app: App, stop: Record<'first' | 'second', Promise<void>>, shutdownMs: number): Promise<boolean> {
  await stop.first;
  await Promise.race([app.drain(shutdownMs), stop.second.then(() => app.drain(0))]);
  const limit = Promise.withResolvers<false>();
  const timer = setTimeout(() => limit.resolve(false), closeWithinMs);
  try {
    return await Promise.race([app[Symbol.asyncDispose]().then(() => true), limit.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function stopSignals(channels: Channels): { first: Promise<void>; second: Promise<void> } {
  const first = Promise.withResolvers<void>();
  const second = Promise.withResolvers<void>();
  let count = 0;
  const onSignal = (signal: NodeJS.Signals) => {
    count++;
    const message = count === 1 ? 'stopping: open responses may finish' : 'stopping now';
    channels.notice.publish({ level: 'info', message, fields: { event: 'stopping', signal } });
    (count === 1 ? first : second).resolve();
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, onSignal);
  return { first: first.promise, second: second.promise };
}
