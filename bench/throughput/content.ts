import type { ServedPath } from '../support/subjects/static-files.ts';
import type { Upstream } from '../support/upstream/upstream.ts';
import type { What } from './cases.ts';
import type { Parameters } from './parameters.ts';

/** What is asked for, by what it is. */
export type Content = Readonly<Record<What, ServedPath>>;

const repository = 'bench/hot';
const tag = 'v1';
/** So many further layers make the manifest as long as those of usual images: some 2 KB. */
const furtherLayers = 12;
const furtherLayerBytes = 2048;

/** Gives the upstream one image: a large layer, a small one, and some more for a manifest of usual length. */
export async function addContent(upstream: Upstream, { blobBytes, smallBlobBytes }: Parameters): Promise<Content> {
  const further = Array.from({ length: furtherLayers }, () => furtherLayerBytes);
  const image = await upstream.add({
    repository,
    tag,
    seed: 'hot',
    layerSizes: [blobBytes, smallBlobBytes, ...further],
  });
  const [, large, small] = image.blobs; // The first is the config.
  if (large === undefined || small === undefined) throw new Error('the image has no layers');
  const manifest = (reference: string) => ({ ...image.manifest, path: `/v2/${repository}/manifests/${reference}` });
  const blob = (content: typeof large) => {
    return { ...content, path: `/v2/${repository}/blobs/${content.digest}`, mediaType: 'application/octet-stream' };
  };
  return {
    'manifest by digest': manifest(image.manifest.digest),
    'manifest by tag': manifest(tag),
    blob: blob(large),
    'small blob': blob(small),
    'ranges of a blob': blob(large),
  };
}

/** Each path once. */
export function pathsOf(content: Content): ServedPath[] {
  return [...new Map(Object.values(content).map((served) => [served.path, served])).values()];
}
