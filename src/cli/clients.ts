import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { type Address, addressText, isLoopback, parseAddress } from '../core/address.ts';
import type { Config } from '../config/schema.ts';
import * as answers from './admin-answers.ts';
import { AdminClient } from './admin-client.ts';
import { readConfig } from './admin-place.ts';
import type { CachedRegistry, CacheFacts, ClientConfiguration, ClientFile } from './clients/cache-facts.ts';
import { containerdConfiguration } from './clients/containerd.ts';
import { containersConfiguration } from './clients/containers.ts';
import { dockerConfiguration } from './clients/docker.ts';
import { k3sConfiguration } from './clients/k3s.ts';
import { CommandFailure, usageFailure } from './command-failure.ts';
import { type ClientsOptions, exitCodes } from './options.ts';
import { printJson } from './printing.ts';
import { piece } from './text-line.ts';

const configurations: Readonly<Record<string, (facts: CacheFacts) => ClientConfiguration>> = {
  containerd: containerdConfiguration,
  docker: dockerConfiguration,
  podman: (facts) => containersConfiguration(facts, 'Podman, skopeo and buildah read it at each pull.'),
  crio: (facts) => containersConfiguration(facts, 'Then: systemctl reload crio'),
  k3s: k3sConfiguration,
};

/** What is known of an instance, running or to be. */
interface Instance {
  readonly listen: Address;
  readonly isTls: boolean;
  readonly registries: readonly CachedRegistry[];
  /** Where its admin API was reached, if it was. */
  readonly askedAt?: string;
}

/** Prints what a client is configured with to pull through the cache: files to standard output, all else to standard error. */
export async function clients(client: string, options: ClientsOptions): Promise<number> {
  const make = configurations[client];
  if (make === undefined) throw usageFailure(`${client} is not a client that is known here`);
  if (options.write !== undefined && client !== 'containerd') {
    throw usageFailure('--write is for containerd, which has a file for each registry', 'for others: ... > FILE');
  }
  const instance = options.config === undefined ? await running(options) : configured(await readConfig(options.config));
  const { address, notes } = addressFor(instance, options.address);
  if (options.ca !== undefined && !instance.isTls) {
    throw usageFailure('--ca: this cache does not speak TLS', 'server.tls in its configuration would make it do so');
  }
  const registries = chosen(instance.registries, options.registry);
  const facts = { address, isTls: instance.isTls, ca: options.ca, registries };
  const { files, next, warnings } = make(facts);
  if (files.length === 0) throw new CommandFailure(`nothing is left for ${client}: ${warnings.join(' ')}`);
  const authority =
    instance.isTls && options.ca === undefined
      ? [
          'The cache speaks TLS. If an authority of your own signed its certificate, --ca FILE says where clients have that.',
        ]
      : [];
  const told = [...notes, ...warnings, ...authority];
  if (options.json) {
    printJson({ client, address, tls: instance.isTls, files, next, notes: told });
    return exitCodes.ok;
  }
  if (options.write === undefined) process.stdout.write(files.map(({ content }) => content).join('\n'));
  else await writeFiles(options.write, files);
  if (client === 'docker') process.stderr.write(`# ${files[0]?.path ?? ''}\n`);
  for (const line of [...told.map((note) => `note: ${note}`), ...next]) process.stderr.write(`# ${piece(line).text}\n`);
  return exitCodes.ok;
}

async function running(options: ClientsOptions): Promise<Instance> {
  const client = await AdminClient.for(options, process.env);
  const [{ listen, tls }, { settings }] = await Promise.all([
    client.get('/api/v1/status', answers.listening),
    client.get('/api/v1/settings', answers.settings),
  ]);
  const address = parseAddress(listen);
  if (address === undefined) throw new CommandFailure(`the instance says that it listens on ${JSON.stringify(listen)}`);
  return { listen: address, isTls: tls, registries: registriesIn(settings), askedAt: client.host };
}

function configured({ listen, server, upstreams }: Config): Instance {
  return { listen, isTls: server.tls.certFile !== undefined, registries: upstreams };
}

/** The registries among the settings in force, which are named by their path. */
function registriesIn(settings: readonly answers.SettingAnswer[]): CachedRegistry[] {
  const found = new Map<string, { endpoints: string[]; isDefault: boolean }>();
  for (const { path, value } of settings) {
    const [, name, key] = /^upstreams\.(.+)\.(url|endpoints|default)$/.exec(path) ?? [];
    if (name === undefined) continue;
    const registry = found.get(name) ?? { endpoints: [], isDefault: false };
    found.set(name, registry);
    if (key === 'default') registry.isDefault = value === true;
    else if (typeof value === 'string') registry.endpoints.push(value);
    else if (Array.isArray(value)) registry.endpoints.push(...value.map(String));
  }
  return [...found].map(([name, { endpoints, isDefault }]) => ({
    name,
    endpoints,
    isDefault: isDefault || found.size === 1,
  }));
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

/** Where clients reach it: as told; else where it listens; else, if that is everywhere, by the name it was asked by, or this machine's. */
function addressFor({ listen, askedAt }: Instance, told: string | undefined): { address: string; notes: string[] } {
  if (told !== undefined) {
    const address = parseAddress(told);
    if (address !== undefined && address.port > 0) return { address: addressText(address), notes: [] };
    throw usageFailure(`--address: ${JSON.stringify(told)} is not an address`, 'host:port, such as cache.example:5000');
  }
  const isEverywhere = listen.host === '0.0.0.0' || listen.host === '::';
  if (!isEverywhere) {
    const notes = isLoopback(listen.host) ? ['it listens on loopback: only clients on this machine reach it.'] : [];
    return { address: addressText(listen), notes };
  }
  const host = askedAt === undefined || isLoopback(askedAt) ? hostname().toLowerCase() : askedAt;
  const address = addressText({ host, port: listen.port });
  return { address, notes: [`${address} is a guess; --address HOST:PORT says where clients reach the cache.`] };
}

async function writeFiles(folder: string, files: readonly ClientFile[]): Promise<void> {
  for (const { path, content } of files) {
    // As below containerd's own folder: a folder for each registry.
    const target = join(folder, ...path.split('/').slice(-2));
    const had = await readFile(target, 'utf8').catch(() => undefined);
    if (had === content) continue;
    if (had !== undefined && !had.startsWith(`# ${path}\n`)) {
      throw new CommandFailure(`${target} is there already, and is not of this command`, {
        hint: 'move it away first',
      });
    }
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, content);
    process.stderr.write(`# written: ${target}\n`);
  }
}
