import { decideRange } from '../../core/byte-range.ts';
import { ChangeCount } from '../../core/change-count.ts';
import { digestOf } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import { referenceText } from '../../core/reference.ts';
import { parseRepositoryName } from '../../core/repository-name.ts';
import { type Scope, sharedIdentity } from '../../core/scope.ts';
import type {
  BlobAnswer,
  BlobRequest,
  Depot,
  Keep,
  ListAnswer,
  ManifestAnswer,
  ManifestRequest,
  NameResolver,
  ReferrersRequest,
  Served,
  TagsRequest,
} from '../../pull/depot.ts';
import type { TestContent } from './test-content.ts';

/** A depot of what a test puts in. Any method may be replaced. */
export class TestDepot implements Depot {
  /** By `repository:tag` and `repository@digest`. */
  readonly manifests = new Map<string, { bytes: Buffer; mediaType: string }>();
  readonly contents = new Map<string, TestContent>();
  readonly blobRequests: BlobRequest[] = [];
  readonly manifestRequests: ManifestRequest[] = [];
  readonly tagsRequests: TagsRequest[] = [];
  readonly referrersRequests: ReferrersRequest[] = [];
  served: Served = 'hit';
  list: ListAnswer = {
    body: Buffer.from('{"name":"a","tags":["x"]}'),
    mediaType: 'application/json',
    nextQuery: undefined,
    filtersApplied: undefined,
    served: 'hit',
  };
  names: string[] = [];
  /** Until when manifests may be given again, where they may. */
  keepUntilMs: number | undefined;
  readonly changes: ChangeCount = new ChangeCount();

  add(content: TestContent): TestContent {
    this.contents.set(content.digest, content);
    return content;
  }

  addManifest(repository: string, tag: string, bytes: Buffer, mediaType: string): void {
    this.manifests.set(`${repository} ${tag}`, { bytes, mediaType });
    this.manifests.set(`${repository} ${digestOf(bytes)}`, { bytes, mediaType });
  }

  async manifest(request: ManifestRequest, _signal: AbortSignal): Promise<ManifestAnswer> {
    this.manifestRequests.push(request);
    const found = this.manifests.get(`${request.scope.repository} ${referenceText(request.reference)}`);
    if (found === undefined) throw new AppError('MANIFEST_UNKNOWN', 'no such manifest');
    const { bytes, mediaType } = found;
    return {
      digest: digestOf(bytes),
      mediaType,
      sizeBytes: bytes.length,
      bytes: request.method === 'HEAD' ? undefined : bytes,
      served: this.served,
      keep: this.keep,
    };
  }

  get keep(): Keep | undefined {
    return this.keepUntilMs === undefined ? undefined : { change: this.changes.value, untilMs: this.keepUntilMs };
  }

  async blob(request: BlobRequest, _signal: AbortSignal): Promise<BlobAnswer> {
    this.blobRequests.push(request);
    const content = this.contents.get(request.digest);
    if (content === undefined) throw new AppError('BLOB_UNKNOWN', 'no such blob');
    const { sizeBytes } = content;
    if (request.method === 'HEAD') return { kind: 'head', sizeBytes, served: this.served, keep: this.keep };
    const decision = sizeBytes === undefined ? { kind: 'whole' as const } : decideRange(request.range, sizeBytes);
    if (decision.kind === 'unsatisfiable') return { kind: 'unsatisfiable', sizeBytes: content.bytes.length };
    const part = decision.kind === 'part' ? decision.range : undefined;
    return { kind: 'body', sizeBytes, part, body: content.body(part), served: this.served };
  }

  async tags(request: TagsRequest, _signal: AbortSignal): Promise<ListAnswer> {
    this.tagsRequests.push(request);
    return this.list;
  }

  async referrers(request: ReferrersRequest, _signal: AbortSignal): Promise<ListAnswer> {
    this.referrersRequests.push(request);
    return this.list;
  }

  async repositories(after: string | undefined, limit: number): Promise<{ names: readonly string[]; more: boolean }> {
    const later = this.names.filter((name) => after === undefined || name > after);
    return { names: later.slice(0, limit), more: later.length > limit };
  }
}

export const testNames: NameResolver = {
  resolve(ns: string | undefined, name: string): Scope {
    const repository = parseRepositoryName(name);
    if (repository === undefined) throw new AppError('NAME_INVALID', 'not a repository name');
    if (ns === 'unknown.example') throw new AppError('REGISTRY_UNKNOWN', 'the registry is not configured');
    return { registry: ns ?? 'docker.io', repository, identity: sharedIdentity };
  },
};
