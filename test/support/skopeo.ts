import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Credentials } from '../../src/cli/demo/gatekeeper.ts';
import { type Digest, digestOf } from '../../src/core/digest.ts';
import { run } from './child.ts';
import { TemporaryDirectory } from './loopback.ts';

export interface SkopeoOptions {
  readonly credentials?: Credentials;
  /** All of an index's images instead of the one for this machine. */
  readonly all?: boolean;
  /** Speak HTTPS, and trust the authorities whose `.crt` files are in this folder. */
  readonly certFolder?: string;
  /** A `registries.conf` of its own: mirrors by path prefix. Unless told, an empty one. */
  readonly registriesConf?: string;
}

export interface SkopeoCopy {
  /** Of the top manifest as skopeo wrote it. */
  readonly manifest: Digest;
  /** Of every blob and every further manifest; each file's bytes have been hashed. */
  readonly files: readonly Digest[];
}

/** Copies `docker://<image>` with the real skopeo to an empty directory and returns what it found there. */
export async function skopeoCopy(image: string, options: SkopeoOptions = {}): Promise<SkopeoCopy> {
  await using folder = await TemporaryDirectory.make();
  const target = join(folder.path, 'copy');
  const trust = options.certFolder === undefined ? ['--src-tls-verify=false'] : ['--src-cert-dir', options.certFolder];
  const flags = [...trust, '--preserve-digests', ...(options.all ? ['--all'] : [])];
  const login = options.credentials ? ['--src-creds', pair(options.credentials)] : [];
  await skopeo(folder.path, ['copy', ...flags, ...login, `docker://${image}`, `dir:${target}`], options);
  const files: Digest[] = [];
  for (const name of await readdir(target)) {
    if (name === 'manifest.json' || name === 'version') continue;
    const digest = `sha256:${createHash('sha256')
      .update(await readFile(join(target, name)))
      .digest('hex')}` as Digest;
    if (digest !== `sha256:${name.replace('.manifest.json', '')}`) throw new Error(`skopeo wrote ${digest} as ${name}`);
    files.push(digest);
  }
  return { manifest: digestOf(await readFile(join(target, 'manifest.json'))), files };
}

/** What `skopeo inspect` says of `docker://<image>`. */
export async function skopeoInspect(image: string, options: SkopeoOptions = {}): Promise<Record<string, unknown>> {
  await using folder = await TemporaryDirectory.make();
  const login = options.credentials ? ['--creds', pair(options.credentials)] : [];
  const flags = ['--tls-verify=false', ...login];
  return JSON.parse(await skopeo(folder.path, ['inspect', ...flags, `docker://${image}`], options));
}

async function skopeo(home: string, args: readonly string[], options: SkopeoOptions): Promise<string> {
  const registriesConf = join(home, 'registries.conf');
  await writeFile(registriesConf, options.registriesConf ?? '');
  const env = {
    PATH: process.env.PATH,
    HOME: home,
    XDG_RUNTIME_DIR: home,
    TMPDIR: home,
    REGISTRY_AUTH_FILE: join(home, 'auth.json'),
  };
  const { code, stdout, stderr } = await run(
    'skopeo',
    ['--insecure-policy', '--registries-conf', registriesConf, ...args],
    { env },
  );
  if (code !== 0) throw new Error(`skopeo ${args.join(' ')}:\n${stderr}`);
  return stdout;
}

function pair({ username, password }: Credentials): string {
  return `${username}:${password}`;
}
