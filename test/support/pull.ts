import assert from 'node:assert/strict';
import type { Content } from '../../src/cli/demo/image.ts';
import { type Digest, parseDigest } from '../../src/core/digest.ts';
import { bareMediaType, isIndexMediaType } from '../../src/core/media-types.ts';
import { type Descriptor, type Download, PullClient, type PullClientOptions, type ReadOptions } from './client.ts';

export interface PullOptions extends PullClientOptions {
  /** Which of an index's images; `all` for each of them. linux/amd64 unless told. */
  readonly platform?: { readonly os: string; readonly architecture: string } | 'all';
  /** Blobs at once, as containerd's `max_concurrent_downloads`. */
  readonly concurrency?: number;
  /** Ask each blob in so many ranges at once. */
  readonly rangesPerBlob?: number;
  /** How blobs are read. */
  readonly read?: ReadOptions;
  /** What the blobs should be: they are then compared with it instead of hashed. */
  readonly expected?: readonly Content[];
}

export interface PullResult {
  readonly manifest: Digest;
  /** Manifests and blobs in the order they were complete. */
  readonly downloads: readonly Download[];
  readonly totalBytes: number;
  /** Until the first byte of the first blob. */
  readonly firstByteMs: number;
  readonly totalMs: number;
}

/**
 * Pulls an image as containerd does (HEAD and GET the manifest by its tag, then config and layers, some at once) with a
 * client of its own, and throws unless every status is right and every byte is what its digest says.
 */
export async function pull(
  origin: string,
  repository: string,
  reference: string,
  options: PullOptions = {},
): Promise<PullResult> {
  await using client = new PullClient(origin, options);
  const startedAt = performance.now();
  const head = await client.headManifest(repository, reference);
  assert.equal(head.status, 200, `HEAD of ${repository}:${reference} is answered with ${head.status}`);
  const top = await client.manifest(repository, reference);
  const named = parseDigest(String(head.headers['docker-content-digest'] ?? ''));
  check(top, named ?? top.digest, `${repository}:${reference}`);
  const manifests = [top];
  for (const child of childrenOf(top, options.platform)) {
    const manifest = await client.manifest(repository, child.digest);
    check(manifest, child.digest, `manifest ${child.digest}`);
    manifests.push(manifest);
  }
  const blobsAt = performance.now() - startedAt;
  const blobs = await pullBlobs(client, repository, uniqueBlobs(manifests), options);
  const downloads = [...manifests, ...blobs];
  return {
    manifest: top.digest,
    downloads,
    totalBytes: downloads.reduce((total, download) => total + download.sizeBytes, 0),
    firstByteMs: blobsAt + Math.min(...blobs.map((blob) => blob.firstByteMs ?? blob.totalMs)),
    totalMs: performance.now() - startedAt,
  };
}

async function pullBlobs(
  client: PullClient,
  repository: string,
  blobs: readonly Descriptor[],
  { concurrency = 3, rangesPerBlob = 1, read = {}, expected: contents = [] }: PullOptions,
): Promise<Download[]> {
  const downloads: Download[] = [];
  const left = blobs.values();
  const worker = async () => {
    for (const blob of left) {
      const download =
        rangesPerBlob > 1
          ? await client.blobInRanges(repository, blob, rangesPerBlob)
          : await client.blob(repository, blob.digest, {
              ...read,
              expected: contents.find((c) => c.digest === blob.digest),
            });
      check(download, blob.digest, `blob ${blob.digest} of ${blob.size} bytes`);
      downloads.push(download);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return downloads;
}

function check(download: Download, digest: Digest, what: string): void {
  const { status, outcome, sizeBytes, body } = download;
  const said = status >= 300 ? `: ${body.toString().slice(0, 300)}` : '';
  assert.ok(status === 200 || status === 206, `${what}: status ${status}${said}`);
  assert.equal(outcome, 'complete', `${what}: ${outcome} after ${sizeBytes} bytes`);
  assert.equal(download.digest, digest, `${what}: wrong bytes in a complete body`);
}

function childrenOf(top: Download, wanted: PullOptions['platform']): readonly Descriptor[] {
  if (!isIndexMediaType(bareMediaType(top.headers['content-type'] ?? ''))) return [];
  const { os, architecture } =
    wanted === undefined || wanted === 'all' ? { os: 'linux', architecture: 'amd64' } : wanted;
  const { manifests } = JSON.parse(top.body.toString()) as { manifests: Descriptor[] };
  return manifests.filter(
    ({ platform }) => wanted === 'all' || (platform?.os === os && platform.architecture === architecture),
  );
}

/** Config and layers of all image manifests, each digest once. */
function uniqueBlobs(manifests: readonly Download[]): readonly Descriptor[] {
  const blobs = new Map<Digest, Descriptor>();
  for (const { body } of manifests) {
    const { config, layers } = JSON.parse(body.toString()) as { config?: Descriptor; layers?: Descriptor[] };
    for (const blob of config === undefined ? [] : [config, ...(layers ?? [])]) blobs.set(blob.digest, blob);
  }
  return [...blobs.values()];
}
