import { type App, startApp } from '../app.ts';
import { addressText } from '../config/address.ts';
import { loadConfig, redactedConfig } from '../config/load.ts';
import { problemsText } from '../config/problems.ts';
import type { Config } from '../config/schema.ts';
import { productVersion } from '../config/version.ts';
import { asAppError } from '../core/errors.ts';
import { Channels } from '../telemetry/channels.ts';
import { Log } from '../telemetry/log.ts';
import { exitCodes, type ServeOptions } from './options.ts';

/** Runs the cache until it is told to stop. Resolves with the exit code. */
export async function serve(options: ServeOptions): Promise<number> {
  const { config: file, ...flags } = options;
  const loaded = await loadConfig({ file, environment: process.env, flags: { ...flags } });
  if (loaded.kind === 'problems') {
    process.stderr.write(problemsText(loaded.problems, file));
    return exitCodes.usage;
  }
  const { config, notices } = loaded;
  const channels = new Channels();
  await using _log = new Log({ channels }, config.log);
  const stop = stopSignals(channels);
  for (const message of notices) channels.notice.publish({ level: 'warn', message });
  let app: App;
  try {
    app = await startApp(config, { channels, env: process.env, processMetrics: true });
  } catch (error) {
    process.stderr.write(`onepull: ${asAppError(error).message}\n`);
    return exitCodes.failed;
  }
  announce(channels, app, config);
  await run(app, stop, config.server.shutdownTimeoutMs);
  channels.notice.publish({ level: 'info', message: 'stopped', fields: { event: 'stopped' } });
  return exitCodes.ok;
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

/** Until the first signal; then responses may finish within the bound. A second signal cuts them. */
async function run(app: App, stop: { first: Promise<void>; second: Promise<void> }, shutdownMs: number): Promise<void> {
  await stop.first;
  await Promise.race([app.drain(shutdownMs), stop.second.then(() => app.drain(0))]);
  await app[Symbol.asyncDispose]();
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
