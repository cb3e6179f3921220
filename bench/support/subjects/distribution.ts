import { run } from '../../../test/support/child.ts';
import { DockerRegistry } from '../../../test/support/docker-registry.ts';
import { needs } from '../../../test/support/need.ts';
import type { Subject } from './subject.ts';

/** Distribution's proxy mode as Debian packages it, or why it cannot take part. */
export async function distribution(): Promise<Subject | { readonly absent: string }> {
  const absent = needs('docker-registry');
  if (absent !== false) return { absent };
  const { stdout } = await run('docker-registry', ['--version']);
  const version = stdout.trim();
  return {
    name: 'distribution',
    title: `Distribution ${/ (\d[\d.]*)/.exec(version)?.[1] ?? ''} (proxy)`,
    version,
    async start(upstreamUrl) {
      const cache = await DockerRegistry.start({ proxyOf: { url: upstreamUrl } });
      return { origin: cache.url, pid: undefined, [Symbol.asyncDispose]: () => cache[Symbol.asyncDispose]() };
    },
  };
}
