import assert from 'node:assert/strict';
import { digestOf } from '../../core/digest.ts';
import { ociIndex } from '../../core/media-types.ts';
import { Fetches } from '../fetches.ts';
import type { PreheatSnapshot } from '../preheat/preheat-snapshot.ts';
import { type PreheatRequest, Preheats, type PreheatsOptions, preheatDefaults } from '../preheat/preheats.ts';
import { RegistryNames } from '../registry-names.ts';
import { PullWorld } from './pull-world.ts';
import type { TestImage } from './test-image.ts';

/** A depot with preheats in it. */
export class PreheatWorld extends PullWorld {
  readonly preheats: Preheats;
  /** What the log is told of preheats. */
  readonly said: Readonly<Record<string, unknown>>[] = [];
  /** What is said to be wrong with the disk. */
  readonly troubles: string[] = [];

  constructor(options: Partial<PreheatsOptions> = {}) {
    super();
    const { catalog, channels, clock, depot, store } = this;
    channels.notice.subscribe(({ fields, ...notice }) => {
      if (fields?.event === 'preheat') this.said.push({ ...notice, ...fields });
    });
    const names = new RegistryNames(['docker.io', 'ghcr.io'], 'docker.io');
    const flights = new Fetches(this.flights, this.passing);
    let ids = 0;
    this.preheats = new Preheats(
      {
        clock,
        channels,
        depot,
        store,
        catalog,
        troubles: () => this.troubles,
        names,
        flights,
        newId: () => `preheat-${++ids}`,
      },
      { ...preheatDefaults, maxBytes: 100_000, ...options },
    );
  }

  start(request: Partial<PreheatRequest> = {}): string {
    return this.preheats.start({ images: ['app:v1'], platforms: [], ...request }).id;
  }

  /** What became of it, time being moved on to whatever is due next. */
  async ended(id: string): Promise<PreheatSnapshot> {
    for (let turn = 0; turn < 1000; turn++) {
      const snapshot = this.preheats.get(id);
      assert.ok(snapshot);
      if (snapshot.endedAtMs !== undefined) return snapshot;
      await this.quiet();
      const dueMs = this.clock.nextDueInMs;
      if (dueMs !== undefined && dueMs < 700_000) this.clock.advance(dueMs);
    }
    assert.fail('it does not end');
  }

  /** An index of platforms, as buildx makes it: with an attestation beside each image. */
  pushIndex(tag: string, images: Readonly<Record<string, TestImage>>): void {
    const manifests = Object.entries(images).flatMap(([text, { manifest }]) => {
      const [os, architecture, variant] = text.split('/');
      const { mediaType, digest, bytes } = manifest;
      const attestation = digestOf(Buffer.from(`attestation of ${digest}`));
      const unknown = { os: 'unknown', architecture: 'unknown' };
      return [
        { mediaType, digest, size: bytes.length, platform: { os, architecture, variant } },
        { mediaType, digest: attestation, size: 10, platform: unknown },
      ];
    });
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests }));
    this.hub.pushManifest('library/app', tag, { digest: digestOf(bytes), mediaType: ociIndex, bytes });
    for (const image of Object.values(images)) this.hub.push('library/app', image.manifest.digest, image);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await this.preheats[Symbol.asyncDispose]();
    await super[Symbol.asyncDispose]();
  }
}
