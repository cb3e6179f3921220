import { parseDigest } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import { parseTag, type Reference, referenceText } from '../core/reference.ts';
import { type Scope, scopeName } from '../core/scope.ts';
import type { NameResolver } from './depot.ts';

/** An image as an operator names it. */
export interface ImageName {
  readonly scope: Scope;
  readonly reference: Reference;
  /** `registry/repository:tag` or `registry/repository@digest`. */
  readonly name: string;
}

/**
 * The image that `text` names, in the way of docker and containerd: `nginx`, `library/nginx:1.29`,
 * `ghcr.io/org/app@sha256:...`. Without a tag it is `latest`; a tag beside a digest says nothing more. The registry is found
 * as for a client that sends no `ns`. Throws REQUEST_MALFORMED, NAME_INVALID or REGISTRY_UNKNOWN.
 */
export function parseImageName(text: string, names: NameResolver): ImageName {
  const [path = '', digestText, ...more] = text.split('@');
  const colon = path.indexOf(':', path.lastIndexOf('/') + 1);
  const repository = colon === -1 ? path : path.slice(0, colon);
  const reference = referenceOf(colon === -1 ? 'latest' : path.slice(colon + 1), digestText);
  if (reference === undefined || more.length > 0 || repository === '' || text.includes('://')) {
    const example = 'write it as docker.io/library/nginx:1.29, without a scheme';
    throw new AppError('REQUEST_MALFORMED', `this is no name of an image: ${clipped(text)}; ${example}`);
  }
  const scope = names.resolve(undefined, repository);
  return { scope, reference, name: imageName(scope, reference) };
}

export function imageName(scope: Scope, reference: Reference): string {
  return `${scopeName(scope)}${reference.kind === 'tag' ? ':' : '@'}${referenceText(reference)}`;
}

function referenceOf(tagText: string, digestText: string | undefined): Reference | undefined {
  const tag = parseTag(tagText);
  if (digestText === undefined) return tag && { kind: 'tag', tag };
  const digest = parseDigest(digestText);
  return tag && digest && { kind: 'digest', digest };
}

function clipped(text: string): string {
  return JSON.stringify(text.length > 300 ? `${text.slice(0, 300)}...` : text);
}
