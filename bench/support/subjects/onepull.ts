import { productVersion } from '../../../src/config/version.ts';
import { OnepullProcess } from '../../../test/support/onepull-process.ts';
import type { RunningSubject, Subject } from './subject.ts';

/** `bin/onepull serve` with its defaults, the access log included, in front of one upstream. */
export const onepull: Subject = {
  name: 'onepull',
  title: `onepull ${productVersion()}`,
  version: productVersion(),
  start: (upstreamUrl) => startOnepull(upstreamUrl),
};

export async function startOnepull(upstreamUrl: string, tagTtl = '60s'): Promise<RunningSubject> {
  const cache = await OnepullProcess.start({ upstreams: { 'registry.example': { url: upstreamUrl, tagTtl } } });
  return { origin: cache.url, pid: cache.pid, [Symbol.asyncDispose]: () => cache[Symbol.asyncDispose]() };
}
