import { productVersion } from '../../../src/config/version.ts';
import { OnepullProcess } from '../../../test/support/onepull-process.ts';
import type { RunningSubject, Subject } from './subject.ts';

/** Its one upstream, which is the default: clients name repositories alone. */
export const registryName = 'registry.example';

/** `bin/onepull serve` with its defaults, the access log included, in front of one upstream. */
export const onepull: Subject = {
  name: 'onepull',
  title: `onepull ${productVersion()}`,
  version: productVersion(),
  start: (upstreamUrl) => startOnepull([upstreamUrl]),
};

/** As many as onepull takes where nothing is said, and not as tests say. */
export const usualThreads = { threads: undefined } as const;

export interface RunningOnepull extends RunningSubject {
  /** The longest time that its event loop stood still since this was last asked. */
  longestPauseMs(): Promise<number>;
}

/** In front of one registry with these endpoints; `settings`: further sections of the configuration. */
export async function startOnepull(
  endpoints: readonly string[],
  settings: Readonly<Record<string, unknown>> = {},
  tagTtl = '60s',
): Promise<RunningOnepull> {
  const upstreams = { [registryName]: { endpoints, tagTtl } };
  const cache = await OnepullProcess.start({ upstreams, ...settings, server: usualThreads });
  return {
    origin: cache.url,
    pid: cache.pid,
    longestPauseMs: async () => 1000 * (await cache.admin.metric('nodejs_eventloop_lag_max_seconds')),
    [Symbol.asyncDispose]: () => cache[Symbol.asyncDispose](),
  };
}
