import { isIndexMediaType } from '../../src/core/media-types.ts';
import { type Descriptor, PullClient } from '../support/client.ts';
import type { Preloaded } from './suite.ts';

interface Document {
  readonly mediaType?: string;
  readonly manifests?: readonly Descriptor[];
  readonly config?: Descriptor;
  readonly layers?: readonly (Descriptor & { readonly urls?: readonly string[] })[];
}

/** All that a repository has, found from its tags. */
export async function harvest(origin: string, repository: string): Promise<Preloaded> {
  await using client = new PullClient(origin);
  const list = JSON.parse((await client.get(`${repository}/tags/list`)).body.toString()) as { tags: string[] };
  const manifests = new Map<string, Document>();
  const visit = async (reference: string): Promise<void> => {
    const { status, headers, body } = await client.manifest(repository, reference);
    const digest = String(headers['docker-content-digest'] ?? reference);
    if (status !== 200 || manifests.has(digest)) return; // an index may list what was never pushed
    const document = JSON.parse(body.toString()) as Document;
    manifests.set(digest, { mediaType: headers['content-type'] ?? '', ...document });
    for (const child of document.manifests ?? []) await visit(child.digest);
  };
  for (const tag of list.tags) await visit(tag);
  const blobs = new Set<string>();
  for (const { config, layers = [] } of manifests.values()) {
    for (const { digest } of config === undefined ? [] : [config, ...layers]) {
      if ((await client.headBlob(repository, digest)).status === 200) blobs.add(digest);
    }
  }
  const images = [...manifests].filter(([, { mediaType = '' }]) => !isIndexMediaType(mediaType));
  return {
    tags: list.tags,
    manifests: [...manifests.keys()],
    blobs: [...blobs],
    subjects: images.map(([digest]) => digest),
    listsTags: true,
  };
}
