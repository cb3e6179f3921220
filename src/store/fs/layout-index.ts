import { type Digest, parseDigest } from '../../core/digest.ts';
import { ociIndex } from '../../core/media-types.ts';
import { parseTag, type Tag } from '../../core/reference.ts';
import { parseRepositoryName } from '../../core/repository-name.ts';
import type { Scope } from '../../core/scope.ts';

/** A manifest that a repository has, and a tag of it that points there, if any. */
export interface IndexEntry {
  readonly scope: Scope;
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
  /** Which of its names are pinned: the tag, the digest, or both. */
  readonly pinnedBy: readonly PinKind[];
  readonly tag: { readonly tag: Tag; readonly variant: string; readonly checkedAtMs: number } | undefined;
}

export const pinKinds = ['tag', 'digest'] as const;
export type PinKind = (typeof pinKinds)[number];

const refName = 'org.opencontainers.image.ref.name';
const annotation = {
  registry: 'io.onepull.registry',
  repository: 'io.onepull.repository',
  identity: 'io.onepull.identity',
  variant: 'io.onepull.variant',
  checked: 'io.onepull.checked',
  pinned: 'io.onepull.pinned',
} as const;

/** What stands before and after the descriptors in `index.json` (image-spec "Image Layout", "index.json file"). */
export const indexHead = `{"schemaVersion":2,"mediaType":"${ociIndex}","manifests":[`;
export const indexTail = ']}\n';

/** The entry as a descriptor with annotations. Several repositories may use one tag: our annotations tell them apart. */
export function indexDescriptor({ scope, digest, mediaType, sizeBytes, pinnedBy, tag }: IndexEntry): string {
  const annotations: Record<string, string> = {
    [annotation.registry]: scope.registry,
    [annotation.repository]: scope.repository,
    [annotation.identity]: scope.identity,
  };
  if (pinnedBy.length > 0) annotations[annotation.pinned] = pinnedBy.join(' ');
  if (tag !== undefined) {
    annotations[refName] = tag.tag;
    annotations[annotation.variant] = tag.variant;
    annotations[annotation.checked] = new Date(tag.checkedAtMs).toISOString();
  }
  return JSON.stringify({ mediaType, digest, size: sizeBytes, annotations });
}

/** The entries of an `index.json`; what is not ours or malformed is left out. Throws a SyntaxError where it is no JSON. */
export function parseIndex(text: string): IndexEntry[] {
  const document: unknown = JSON.parse(text);
  const manifests = isObject(document) && Array.isArray(document.manifests) ? document.manifests : [];
  return manifests.map(parseEntry).filter((entry) => entry !== undefined);
}

function parseEntry(descriptor: unknown): IndexEntry | undefined {
  if (!isObject(descriptor) || !isObject(descriptor.annotations)) return undefined;
  const { digest: digestText, mediaType, size, annotations } = descriptor;
  const digest = typeof digestText === 'string' ? parseDigest(digestText) : undefined;
  const scope = parseScope(annotations);
  if (digest === undefined || scope === undefined) return undefined;
  if (typeof mediaType !== 'string' || typeof size !== 'number') return undefined;
  const pins = String(annotations[annotation.pinned] ?? '').split(' ');
  const pinnedBy = pinKinds.filter((kind) => pins.includes(kind));
  return { scope, digest, mediaType, sizeBytes: size, pinnedBy, tag: parseTagOf(annotations) };
}

function parseScope(annotations: Readonly<Record<string, unknown>>): Scope | undefined {
  const registry = annotations[annotation.registry];
  const repositoryText = annotations[annotation.repository];
  const identity = annotations[annotation.identity];
  const repository = typeof repositoryText === 'string' ? parseRepositoryName(repositoryText) : undefined;
  if (typeof registry !== 'string' || typeof identity !== 'string' || repository === undefined) return undefined;
  return { registry, repository, identity };
}

function parseTagOf(annotations: Readonly<Record<string, unknown>>): IndexEntry['tag'] {
  const text = annotations[refName];
  const variant = annotations[annotation.variant];
  const tag = typeof text === 'string' ? parseTag(text) : undefined;
  if (tag === undefined || typeof variant !== 'string') return undefined;
  const checkedAtMs = Date.parse(String(annotations[annotation.checked]));
  return { tag, variant, checkedAtMs: Number.isNaN(checkedAtMs) ? 0 : checkedAtMs };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
