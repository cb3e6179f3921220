import { type Digest, parseDigest } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import type { RepositoryName } from '../../core/repository-name.ts';
import type { SourceBody, SourceRequest } from '../../flights/source.ts';
import type { BlobSource, Registry, UpstreamList } from '../upstreams.ts';
import type { TestImage, TestManifest } from './test-image.ts';

interface Repository {
  readonly manifests: Map<string, TestManifest>;
  readonly blobs: Map<Digest, Uint8Array>;
}

type ReferrersAnswer = Awaited<ReturnType<Registry['referrers']>>;

/**
 * An upstream under a test's control: it has what was pushed to it, notes every call as `METHOD kind repository what`,
 * and does first whatever `before` does: wait, or throw.
 */
export class TestRegistry implements Registry {
  readonly calls: string[] = [];
  /** Queries of lists, in order. */
  readonly queries: string[] = [];
  before: (call: string, signal: AbortSignal) => Promise<void> | void = () => {};
  /** Bodies of blobs come in pieces of so many bytes; this is called before each, with its offset in the blob. */
  chunkBytes: number = Number.POSITIVE_INFINITY;
  beforeChunk: (offset: number) => Promise<void> | void = () => {};
  /** Whether HEAD says the digest of a manifest. */
  saysDigest = true;
  /** Whether anything says sizes. */
  saysSize = true;
  /** What HEAD says of a blob's size; the truth, unless told. */
  headSizeBytes: number | undefined;
  referrersAnswer: ReferrersAnswer;
  tagsAnswer: UpstreamList = {
    body: Buffer.from('{"name":"app","tags":["latest"]}'),
    mediaType: 'application/json',
    nextQuery: undefined,
  };
  /** For so long it has been known to be down. */
  downForMs = 0;
  readonly #repositories = new Map<string, Repository>();

  /** Adds an image, all of it, under a tag. */
  push(repository: string, tag: string, image: TestImage): void {
    this.pushManifest(repository, tag, image.manifest);
    for (const blob of image.blobs) this.#repository(repository).blobs.set(blob.digest, blob.bytes);
  }

  pushManifest(repository: string, tag: string, manifest: TestManifest): void {
    const { manifests } = this.#repository(repository);
    manifests.set(tag, manifest);
    manifests.set(manifest.digest, manifest);
  }

  pushBlob(repository: string, digest: Digest, bytes: Uint8Array): void {
    this.#repository(repository).blobs.set(digest, bytes);
  }

  remove(repository: string, reference: string): void {
    this.#repository(repository).manifests.delete(reference);
  }

  /** The calls so far that begin with `prefix`. */
  count(prefix: string): number {
    return this.calls.filter((call) => call.startsWith(prefix)).length;
  }

  async getManifest(repository: RepositoryName, reference: string, _: string, __: number, signal: AbortSignal) {
    await this.#asked('GET manifest', repository, reference, signal);
    const { digest, mediaType, bytes } = this.#manifest(repository, reference);
    return { digest, mediaType, bytes };
  }

  async headManifest(repository: RepositoryName, reference: string, _: string, signal: AbortSignal) {
    await this.#asked('HEAD manifest', repository, reference, signal);
    const { digest, mediaType, bytes } = this.#manifest(repository, reference);
    return { digest: this.saysDigest ? digest : undefined, mediaType, sizeBytes: bytes.length };
  }

  async headBlob(repository: RepositoryName, digest: Digest, signal: AbortSignal) {
    await this.#asked('HEAD blob', repository, digest, signal);
    const sizeBytes = this.headSizeBytes ?? this.#blob(repository, digest).length;
    return { sizeBytes: this.saysSize ? sizeBytes : undefined, mediaType: undefined };
  }

  outageMs(): number {
    return this.downForMs;
  }

  blobSources(repository: RepositoryName, digest: Digest): readonly BlobSource[] {
    return [
      {
        name: 'test.example',
        standing: () => ({ restMs: 0, restReason: undefined, cost: 0, hasRoom: true }),
        open: (request, signal) => this.#openBlob(repository, digest, request, signal),
        discredit: () => {},
      },
    ];
  }

  async #openBlob(
    repository: RepositoryName,
    digest: Digest,
    { start, end }: SourceRequest,
    signal: AbortSignal,
  ): Promise<SourceBody> {
    await this.#asked('GET blob', repository, digest, signal);
    const bytes = this.#blob(repository, digest);
    const part = bytes.subarray(start, end);
    const { chunkBytes, beforeChunk } = this;
    const chunks = (async function* () {
      for (let at = 0; at === 0 || at < part.length; at += chunkBytes) {
        await beforeChunk(start + at);
        signal.throwIfAborted();
        // A copy: whoever gets it may give its memory back.
        yield new Uint8Array(part.subarray(at, at + chunkBytes));
      }
    })();
    return { start, blobSizeBytes: this.saysSize ? bytes.length : undefined, chunks };
  }

  async listTags(repository: RepositoryName, query: string, signal: AbortSignal): Promise<UpstreamList> {
    this.queries.push(query);
    await this.#asked('GET tags', repository, 'list', signal);
    return this.tagsAnswer;
  }

  async referrers(repository: RepositoryName, digest: Digest, query: string, signal: AbortSignal) {
    this.queries.push(query);
    await this.#asked('GET referrers', repository, digest, signal);
    return this.referrersAnswer;
  }

  async #asked(what: string, repository: string, reference: string, signal: AbortSignal): Promise<void> {
    const call = `${what} ${repository} ${reference}`;
    this.calls.push(call);
    await this.before(call, signal);
  }

  #manifest(repository: string, reference: string): TestManifest {
    const found = this.#repository(repository).manifests.get(reference);
    if (found !== undefined) return found;
    throw new AppError('MANIFEST_UNKNOWN', `no ${parseDigest(reference) === undefined ? 'tag' : 'manifest'} here`);
  }

  #blob(repository: string, digest: Digest): Uint8Array {
    const found = this.#repository(repository).blobs.get(digest);
    if (found === undefined) throw new AppError('BLOB_UNKNOWN', 'no such blob here');
    return found;
  }

  #repository(name: string): Repository {
    const known = this.#repositories.get(name);
    if (known !== undefined) return known;
    const repository: Repository = { manifests: new Map(), blobs: new Map() };
    this.#repositories.set(name, repository);
    return repository;
  }
}
