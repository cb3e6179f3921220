import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Child, run } from '../../../test/support/child.ts';
import { freePort, TemporaryDirectory, untilUp } from '../../../test/support/loopback.ts';
import { needs } from '../../../test/support/need.ts';
import { answers } from './answers.ts';
import { mirrorAsFiles, type ServedPath } from './static-files.ts';
import type { Absent, Subject } from './subject.ts';

export interface NginxOptions {
  readonly name: string;
  /** Added to its title. */
  readonly note?: string;
  /** What it serves, as files, with the headers that a registry sends. */
  readonly paths: readonly ServedPath[];
  readonly accessLog?: boolean;
  /** PEM files. Without them it speaks plain HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** nginx with static files, set up to be fast at that: what any cache could be on this machine. */
export async function nginx(options: NginxOptions): Promise<Subject | Absent> {
  const absent = needs('nginx');
  if (absent !== false) return { absent };
  const version = (await run('nginx', ['-v'], { env: environment() })).stderr.trim();
  return {
    name: options.name,
    title: `nginx ${/\/(\d[\d.]*)/.exec(version)?.[1] ?? ''} (static files${options.note ? `, ${options.note}` : ''})`,
    version,
    start: (upstreamUrl) => startNginx(upstreamUrl, options),
  };
}

async function startNginx(upstreamUrl: string, options: NginxOptions) {
  const folder = await TemporaryDirectory.make();
  const host = `127.0.0.1:${await freePort()}`;
  const origin = `${options.tls ? 'https' : 'http'}://${host}`;
  await mirrorAsFiles(upstreamUrl, folder.path, options.paths);
  const config = join(folder.path, 'nginx.conf');
  await writeFile(config, nginxConfig(folder.path, host, options));
  // SIGTERM: its master has workers to end, which would outlive it.
  const child = new Child('nginx', ['-c', config, '-p', folder.path, '-e', join(folder.path, 'error.log')], {
    env: environment(),
    endSignal: 'SIGTERM',
  });
  const close = async () => {
    await child[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  };
  try {
    await untilUp(() => answers(origin, () => child.isRunning), 'nginx');
  } catch (cause) {
    await close();
    throw new Error(`nginx does not answer\n${child.tail}`, { cause });
  }
  return { origin, pid: child.pid, [Symbol.asyncDispose]: close };
}

export function nginxConfig(folder: string, host: string, { paths, accessLog = false, tls }: NginxOptions): string {
  const lines = [
    'daemon off;',
    'worker_processes auto;',
    // Its workers become somebody else, who may not read what is ours.
    ...(process.getuid?.() === 0 ? ['user root root;'] : []),
    `pid ${folder}/nginx.pid;`,
    'events { worker_connections 4096; }',
    'http {',
    '  sendfile on; tcp_nopush on; tcp_nodelay on;',
    '  keepalive_timeout 300s; keepalive_requests 1000000000;',
    '  open_file_cache max=1000 inactive=1h; open_file_cache_valid 1h;',
    accessLog ? `  access_log ${folder}/access.log combined buffer=64k flush=1s;` : '  access_log off;',
    ...['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `  ${name}_temp_path ${folder}/${name};`),
    '  server {',
    `    listen ${host}${tls ? ' ssl' : ''} reuseport backlog=4096;`,
    ...(tls ? [`    ssl_certificate ${tls.cert}; ssl_certificate_key ${tls.key}; ssl_protocols TLSv1.2 TLSv1.3;`] : []),
    `    root ${folder};`,
    "    add_header Docker-Distribution-Api-Version 'registry/2.0';",
    '    location = /v2/ { return 200; }',
    ...paths.map(location),
    '  }',
    '}',
  ];
  return `${lines.join('\n')}\n`;
}

/** By its whole name: nothing is faster to find. Each has its own headers, as files of one folder cannot. */
function location({ path, digest, mediaType }: ServedPath): string {
  const headers = `add_header Docker-Content-Digest '${digest}'; add_header Docker-Distribution-Api-Version 'registry/2.0';`;
  return `    location = ${path} { default_type ${mediaType}; ${headers} }`;
}

/** Debian's has a folder that is not on everybody's path. */
function environment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin` };
}
