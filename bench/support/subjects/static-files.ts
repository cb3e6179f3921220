import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Digest } from '../../../src/core/digest.ts';

/** One thing that a registry serves: a manifest under one of its names, or a blob. */
export interface ServedPath {
  readonly path: string;
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
}

/** Puts what `upstreamUrl` serves at these paths into files of the same paths below `folder`. */
export async function mirrorAsFiles(upstreamUrl: string, folder: string, paths: readonly ServedPath[]): Promise<void> {
  for (const { path, mediaType } of paths) {
    const file = join(folder, path);
    await mkdir(dirname(file), { recursive: true });
    const response = await fetch(`${upstreamUrl}${path}`, { headers: { accept: mediaType } });
    if (!response.ok || response.body === null) throw new Error(`${path}: status ${response.status} from upstream`);
    await pipeline(Readable.fromWeb(response.body), createWriteStream(file));
  }
}
