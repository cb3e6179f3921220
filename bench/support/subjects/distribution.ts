import { run } from '../../../test/support/child.ts';
import { DockerRegistry } from '../../../test/support/docker-registry.ts';
import { needs } from '../../../test/support/need.ts';
import type { Absent, Subject } from './subject.ts';

/** Distribution's proxy mode as Debian packages it, or why it cannot take part. `quiet`: without an access log. */
export async function distribution({ quiet = false } = {}): Promise<Subject | Absent> {
  const absent = needs('docker-registry');
  if (absent !== false) return { absent };
  const { stdout } = await run('docker-registry', ['--version']);
  const version = stdout.trim();
  return {
    name: 'distribution',
    title: `Distribution ${/ (\d[\d.]*)/.exec(version)?.[1] ?? ''} (proxy)`,
    version,
    async start(upstreamUrl) {
      const cache = await DockerRegistry.start({ proxyOf: { url: upstreamUrl }, quiet });
      return { origin: cache.url, pid: cache.pid, [Symbol.asyncDispose]: () => cache[Symbol.asyncDispose]() };
    },
  };
}
