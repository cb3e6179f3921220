import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Child, run } from '../../../test/support/child.ts';
import { freePort, TemporaryDirectory, untilUp } from '../../../test/support/loopback.ts';
import { needs } from '../../../test/support/need.ts';
import { answers } from './answers.ts';
import type { Absent, Subject } from './subject.ts';

/** More than any benchmark's content. */
const storage = 'malloc,3G';

/** Varnish in front of the upstream, all content in memory and kept for an hour. */
export async function varnish(): Promise<Subject | Absent> {
  const absent = needs('varnishd');
  if (absent !== false) return { absent };
  const version = (await run('varnishd', ['-V'], { env: environment() })).stderr.split('\n')[0]?.trim() ?? '';
  return {
    name: 'varnish',
    title: `Varnish ${/-(\d[\d.]*)/.exec(version)?.[1] ?? ''}`,
    version,
    start: startVarnish,
  };
}

async function startVarnish(upstreamUrl: string) {
  const folder = await TemporaryDirectory.make();
  const host = `127.0.0.1:${await freePort()}`;
  const vcl = join(folder.path, 'bench.vcl');
  await writeFile(vcl, varnishConfig(upstreamUrl));
  // Started by root it becomes somebody else, who has to read this.
  await chmod(folder.path, 0o755);
  const child = new Child('varnishd', varnishArguments(folder.path, host, vcl), {
    env: environment(),
    endSignal: 'SIGTERM',
  });
  const close = async () => {
    await child[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  };
  const origin = `http://${host}`;
  try {
    await untilUp(() => answers(origin, () => child.isRunning), 'varnish');
  } catch (cause) {
    await close();
    throw new Error(`varnish does not answer\n${child.tail}`, { cause });
  }
  return { origin, pid: child.pid, [Symbol.asyncDispose]: close };
}

function varnishArguments(folder: string, host: string, vcl: string): string[] {
  // A thread serves one request at a time: as many connections as a benchmark has need as many threads, from the start.
  const threads = ['-p', 'thread_pools=2', '-p', 'thread_pool_min=300', '-p', 'thread_pool_max=2000'];
  return ['-F', '-n', join(folder, 'work'), '-a', host, '-f', vcl, '-s', storage, ...threads, '-p', 'timeout_idle=300'];
}

export function varnishConfig(upstreamUrl: string): string {
  const { hostname, port } = new URL(upstreamUrl);
  return `vcl 4.1;
backend default { .host = "${hostname}"; .port = "${port}"; }
sub vcl_backend_response { set beresp.ttl = 1h; }
`;
}

function environment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin` };
}
