import { serveCalls } from '../support/remote-calls.ts';
import { cachedImage } from './cache-content.ts';
import { type CrowdOutcome, type CrowdRequest, crowd } from './crowd.ts';

/** What of an image is asked for: its manifest by its digest or by its tag, or a layer. */
export type Asked = 'digest' | 'tag' | 'blob';

export interface ContentRequest extends CrowdRequest {
  readonly asked: Asked;
  /** Images of the cache; the `among` last ones are asked for at random. */
  readonly images: number;
  readonly among: number;
}

/** More than are asked for within a measurement of content at random. */
const paths = 20_000;

const methods = {
  content({ asked, images, among, ...request }: ContentRequest): Promise<CrowdOutcome> {
    const wanted = Math.min(among, images);
    const known = new Map<number, string>();
    const list = Array.from({ length: wanted < paths ? Math.min(paths, wanted * 8) : paths }, () => {
      const n = images - 1 - Math.floor(Math.random() * wanted);
      const path = known.get(n) ?? pathOf(n, asked);
      known.set(n, path);
      return path;
    });
    let at = 0;
    return crowd(request, () => list[at++ % list.length] ?? '/');
  },

  /** All ask for the same. */
  same: ({ path, ...request }: CrowdRequest & { path: string }): Promise<CrowdOutcome> => crowd(request, () => path),
};

function pathOf(n: number, asked: Asked): string {
  const { repository, tag, manifest, references } = cachedImage(n);
  switch (asked) {
    case 'digest':
      return `/v2/${repository}/manifests/${manifest.digest}`;
    case 'tag':
      return `/v2/${repository}/manifests/${tag}`;
    case 'blob':
      return `/v2/${repository}/blobs/${references.at(-1)?.digest}`;
  }
}

export type CrowdMethods = typeof methods;

serveCalls(methods);
