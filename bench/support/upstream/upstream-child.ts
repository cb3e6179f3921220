import { setTimeout as delay } from 'node:timers/promises';
import { buildImage } from '../../../src/cli/demo/image.ts';
import type { DemoRegistryOptions } from '../../../src/cli/demo/registry.ts';
import type { Digest } from '../../../src/core/digest.ts';
import { serveCalls } from '../remote-calls.ts';
import { BenchRegistry } from './bench-registry.ts';
import { type UpstreamReport, upstreamReport } from './upstream-report.ts';

export interface ImageRequest {
  readonly repository: string;
  readonly tag: string;
  readonly seed: string;
  readonly layerSizes: readonly number[];
}

export interface UpstreamImage {
  readonly repository: string;
  readonly tag: string;
  readonly totalBytes: number;
  readonly manifest: { readonly digest: Digest; readonly sizeBytes: number; readonly mediaType: string };
  /** Config first, then layers in order. */
  readonly blobs: readonly { readonly digest: Digest; readonly sizeBytes: number }[];
}

export type UpstreamSpeed = Pick<
  DemoRegistryOptions,
  'address' | 'bytesPerSecond' | 'connectionBytesPerSecond' | 'latencyMs'
>;

const registry = await BenchRegistry.start(JSON.parse(process.argv[2] ?? '{}') as UpstreamSpeed);
const blobs: Digest[] = [];

const methods = {
  url: (): string => registry.url,

  add({ repository, tag, seed, layerSizes }: ImageRequest): UpstreamImage {
    const image = buildImage({ seed, layerSizes });
    registry.content.add(repository, image, tag);
    const contents = [image.config, ...image.layers];
    blobs.push(...contents.map(({ digest }) => digest));
    return {
      repository,
      tag,
      totalBytes: image.totalBytes,
      manifest: {
        digest: image.manifest.digest,
        sizeBytes: image.manifest.bytes.length,
        mediaType: image.manifest.mediaType,
      },
      blobs: contents.map(({ digest, bytes }) => ({ digest, sizeBytes: bytes.length })),
    };
  },

  /** Counts from zero, once no body is under way any more. */
  async reset(): Promise<void> {
    await registry.tally.until((tally) => blobs.every((digest) => tally.concurrency(digest).current === 0));
    registry.tally.reset();
  },

  report: (): UpstreamReport => upstreamReport(registry.tally, blobs),

  dieAfter: (bytes: number): void => registry.dieAfter(bytes),

  comeBack: (): Promise<void> => registry.comeBack(),

  hold: ({ digest, offsets }: { digest: Digest; offsets: readonly number[] }): void => registry.hold(digest, offsets),

  standsAt: (offset: number): Promise<void> => registry.standsAt(offset),

  /** Lets a held body go from mark to mark with pauses in between. Returns the time in ns at which each step began. */
  async walk({ offsets, pauseMs }: { offsets: readonly number[]; pauseMs: number }): Promise<number[]> {
    const times: number[] = [];
    for (const offset of offsets) {
      await registry.standsAt(offset);
      await delay(pauseMs);
      times.push(registry.release(offset));
    }
    return times;
  },
};

export type UpstreamMethods = typeof methods;

serveCalls(methods);
