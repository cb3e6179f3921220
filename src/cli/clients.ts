import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import {
  addressHint,
  type CacheAddress,
  type CachePlace,
  cacheAddress,
  clientAddress,
} from '../clients/cache-address.ts';
import type { CachedRegistry, ClientFile, WaysToTell } from '../clients/cache-facts.ts';
import { clientAdvice } from '../clients/client-advice.ts';
import { clientNames } from '../clients/client-names.ts';
import { registriesIn } from '../clients/registries.ts';
import type { Config } from '../config/schema.ts';
import { parseAddress } from '../core/address.ts';
import * as answers from './admin-answers.ts';
import { AdminClient } from './admin-client.ts';
import { readConfig } from './admin-place.ts';
import { CommandFailure, usageFailure } from './command-failure.ts';
import { type ClientsOptions, exitCodes } from './options.ts';
import { printJson } from './printing.ts';
import { piece } from './text-line.ts';

export const ways: WaysToTell = { address: '--address HOST:PORT', ca: '--ca FILE' };

/** What is known of an instance, running or to be. */
interface Instance extends CachePlace {
  readonly isTls: boolean;
  readonly registries: readonly CachedRegistry[];
}

/** Prints what a client is configured with to pull through the cache: files to standard output, all else to standard error. */
export async function clients(name: string, options: ClientsOptions): Promise<number> {
  const client = clientNames.find((known) => known === name);
  if (client === undefined) throw usageFailure(`${name} is not a client that is known here`);
  if (options.write !== undefined && client !== 'containerd') {
    throw usageFailure('--write is for containerd, which has a file for each registry', 'for others: ... > FILE');
  }
  const instance = options.config === undefined ? await running(options) : configured(await readConfig(options.config));
  const { isTls } = instance;
  const at = options.address === undefined ? cacheAddress(instance, ways) : told(options.address);
  if (options.ca !== undefined && !isTls) {
    throw usageFailure('--ca: this cache does not speak TLS', 'server.tls in its configuration would make it do so');
  }
  const registries = chosen(instance.registries, options.registry);
  const advice = clientAdvice(client, { at, isTls, ca: options.ca, registries }, ways);
  if (advice.kind === 'none') throw new CommandFailure(advice.why, { hint: advice.hint });
  const { files, next, notes } = advice;
  if (options.json) {
    printJson({ client, address: at.address, tls: isTls, files, next, notes });
    return exitCodes.ok;
  }
  if (options.write === undefined) process.stdout.write(files.map(({ content }) => content).join('\n'));
  else for (const line of await writeFiles(options.write, files)) process.stderr.write(`# ${piece(line).text}\n`);
  if (client === 'docker') process.stderr.write(`# ${files[0]?.path ?? ''}\n`);
  for (const line of [...notes.map((note) => `note: ${note}`), ...next])
    process.stderr.write(`# ${piece(line).text}\n`);
  return exitCodes.ok;
}

async function running(options: ClientsOptions): Promise<Instance> {
  const client = await AdminClient.for(options, process.env);
  const { listen, tls } = await client.get('/api/v1/status', answers.listening);
  const { settings } = await client.get('/api/v1/settings', answers.settings);
  const address = parseAddress(listen);
  if (address === undefined) throw new CommandFailure(`the instance says that it listens on ${JSON.stringify(listen)}`);
  return { listen: address, askedAt: client.host, machine: machine(), isTls: tls, registries: registriesIn(settings) };
}

function configured({ listen, server, upstreams }: Config): Instance {
  const isTls = server.tls.certFile !== undefined;
  return { listen, askedAt: undefined, machine: machine(), isTls, registries: upstreams };
}

function machine(): string {
  return hostname().toLowerCase();
}

function told(text: string): CacheAddress {
  const address = clientAddress(text);
  if (address !== undefined) return { address, notes: [] };
  throw usageFailure(`--address: ${JSON.stringify(text)} is not an address`, addressHint);
}

function chosen(
  registries: readonly CachedRegistry[],
  names: readonly string[] | undefined,
): readonly CachedRegistry[] {
  if (names === undefined) return registries;
  return names.map((wanted) => {
    const registry = registries.find(({ name }) => name === wanted);
    if (registry !== undefined) return registry;
    const known = registries.map(({ name }) => name).join(', ');
    throw usageFailure(`--registry: ${wanted} is not cached here`, `one of: ${known}; or add it under "upstreams"`);
  });
}

/** Writes all of them or, where one is somebody else's, none; returns what to say of it. */
async function writeFiles(folder: string, files: readonly ClientFile[]): Promise<string[]> {
  const known = await Promise.all(files.map((file) => lookAt(folder, file)));
  for (const { target, isForeign } of known) {
    if (!isForeign) continue;
    throw new CommandFailure(`${target} is there already, and is not of this command`, { hint: 'move it away first' });
  }
  const lines: string[] = [];
  for (const { target, content, isSame } of known) {
    if (!isSame) {
      await mkdir(dirname(target), { recursive: true });
      await writeFile(target, content);
    }
    lines.push(`${isSame ? 'unchanged' : 'written'}: ${target}`);
  }
  const place = dirname(dirname(files[0]?.path ?? ''));
  const isElsewhere = resolve(folder) !== place;
  return isElsewhere ? [...lines, `On each client they belong below ${place}: copy ${folder} there.`] : lines;
}

async function lookAt(folder: string, { path, content }: ClientFile) {
  // As below containerd's own folder: a folder for each registry.
  const target = join(folder, ...path.split('/').slice(-2));
  const had = await readFile(target, 'utf8').catch(() => undefined);
  const isSame = had === content;
  return { target, content, isSame, isForeign: had !== undefined && !isSame && !had.startsWith(`# ${path}\n`) };
}
