import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { LeanConnection } from '../support/clients/lean-connection.ts';
import { fetchManifest } from '../support/clients/lean-pull.ts';
import { RemoteProgram } from '../support/remote-calls.ts';
import { onepullServer } from '../support/subjects/onepull-server.ts';
import { folderOfThisProcess } from '../support/temporary-folder.ts';
import { Upstream } from '../support/upstream/upstream.ts';
import type { CrowdMethods } from './crowd-child.ts';
import { type ClientsSample, type HotContent, measureClients } from './measure-clients.ts';
import { type Cache, measureServer, type ServerSample } from './measure-server.ts';
import { buildCache, measureStore, measureUpkeep, type StoreSample, type UpkeepSample } from './measure-store.ts';
import type { Parameters } from './parameters.ts';

export interface Measurements {
  readonly servers: readonly ServerSample[];
  readonly stores: readonly StoreSample[];
  readonly upkeep: readonly UpkeepSample[];
  readonly clients: readonly ClientsSample[];
}

type Progress = (line: string) => void;

/** Lets what the last measurement left behind (sockets, writes to disk) pass. */
const settleMs = 250;
/** Many files were written: the system takes a while to have them on disk. */
const settleAfterBuildMs = (blobs: number) => Math.min(5000, blobs / 50);

const crowdProgram = new URL('./crowd-child.ts', import.meta.url);

/** Runs all measurements. `progress` is told of each. */
export async function runGrowth(parameters: Parameters, progress: Progress): Promise<Measurements> {
  await using crowd = new RemoteProgram<CrowdMethods>(crowdProgram);
  const clients = await clientRounds(parameters, crowd, progress);
  return { ...(await sizeRounds(parameters, crowd, progress)), clients };
}

async function sizeRounds(parameters: Parameters, crowd: RemoteProgram<CrowdMethods>, progress: Progress) {
  const { sizes, rounds, hotImages } = parameters;
  // It may hold a million files: whoever interrupts the benchmark must not have to find and remove them.
  using folder = folderOfThisProcess('onepull-growth-');
  const caches: Cache[] = [];
  for (const blobs of sizes) {
    progress(`builds a cache of ${blobs} blobs`);
    caches.push(await buildCache(join(folder.path, String(blobs)), blobs));
  }
  await delay(settleAfterBuildMs(Math.max(...sizes)));
  const [servers, stores]: [ServerSample[], StoreSample[]] = [[], []];
  for (let round = 1; round <= rounds; round++) {
    // Whoever comes second finds the machine as the first one left it: they take turns at that.
    for (const cache of round % 2 === 1 ? caches : caches.toReversed()) {
      await delay(settleMs);
      const server = await measureServer({ ...parameters, cache, crowd, round });
      servers.push(server);
      stores.push(await measureStore(cache, round, hotImages));
      progress(`round ${round}/${rounds}  ${serverText(server)}`);
    }
  }
  const upkeep: UpkeepSample[] = [];
  for (const cache of caches) {
    progress(`upkeep of ${cache.blobs} blobs`);
    upkeep.push(await measureUpkeep(cache, parameters.leavingImages));
  }
  return { servers, stores, upkeep };
}

async function clientRounds(
  { rounds, clients, loadMs, hotBlobBytes }: Parameters,
  crowd: RemoteProgram<CrowdMethods>,
  progress: Progress,
): Promise<ClientsSample[]> {
  await using upstream = await Upstream.start();
  const image = await upstream.add({ repository: 'bench/hot', tag: 'v1', seed: 'hot', layerSizes: [hotBlobBytes] });
  await using running = await onepullServer({ name: 'onepull', title: 'onepull' }).start(upstream.url);
  const manifest = await warmUp(running.origin, image);
  const paths = { manifest, blob: `/v2/${image.repository}/blobs/${image.blobs.at(-1)?.digest}` };
  const samples: ClientsSample[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const connections of round % 2 === 1 ? clients : clients.toReversed()) {
      for (const content of ['manifest', 'blob'] satisfies HotContent[]) {
        await delay(settleMs);
        const setup = { crowd, running, path: paths[content], content, round, connections, loadMs };
        const sample = await measureClients(setup);
        samples.push(sample);
        progress(`round ${round}/${rounds}  ${clientsText(sample)}`);
      }
    }
  }
  return samples;
}

/** Pulls the image once; returns the path of its manifest. */
async function warmUp(origin: string, { repository, tag }: { repository: string; tag: string }): Promise<string> {
  using connection = new LeanConnection(origin);
  const { blobs } = await fetchManifest(connection, { origin, repository, tag });
  for (const { digest } of blobs) await connection.request('GET', `/v2/${repository}/blobs/${digest}`, {}, () => {});
  const head = await connection.request('HEAD', `/v2/${repository}/manifests/${tag}`, {}, () => {});
  return `/v2/${repository}/manifests/${head.headers.get('docker-content-digest')}`;
}

function serverText({ blobs, readyMs, firstHitMs, hits, startBytes, longestPauseMs }: ServerSample): string {
  const rates = hits.map(({ asked, spread, perSecond }) => `${spread} ${asked} ${perSecond.toFixed(0)}/s`);
  const memory = `${((startBytes ?? 0) / 2 ** 20).toFixed(0)} MiB`;
  const start = `ready ${readyMs.toFixed(0)} ms, hit ${firstHitMs.toFixed(0)} ms`;
  return `${blobs} blobs: ${start}, ${memory}, ${rates.join(', ')}, pause ${longestPauseMs.toFixed(0)} ms`;
}

function clientsText({
  connections,
  content,
  perSecond,
  bytesPerSecond,
  fairness,
  failed,
  residentBytes,
}: ClientsSample) {
  const rate = `${perSecond.toFixed(0)}/s, ${(bytesPerSecond / 1e6).toFixed(0)} MB/s`;
  const memory = `${((residentBytes ?? 0) / 2 ** 20).toFixed(0)} MiB`;
  const bad = failed === 0 ? '' : `, ${failed} failed`;
  return `${connections} connections, ${content}: ${rate}, slowest/fastest ${fairness.toFixed(2)}, ${memory}${bad}`;
}
