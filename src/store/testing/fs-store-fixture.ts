import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { ChangeCount } from '../../core/change-count.ts';
import { asAppError } from '../../core/errors.ts';
import { VirtualClock } from '../../core/testing/virtual-clock.ts';
import { Channels, type EvictionEvent, type NoticeEvent, type QuarantineEvent } from '../../telemetry/channels.ts';
import { Layout } from '../fs/layout.ts';
import { type FsStore, type FsStoreOptions, openFsStore } from '../fs/open-fs-store.ts';
import { tempFolder } from './temp-folder.ts';

const roomy = { maxSizeBytes: 1e9, scrubBytesPerSecond: 0, verifyAfterMs: 7 * 24 * 3600 * 1000 };

/**
 * A store in a folder of its own that can be closed and opened again, with a clock that a test moves. All that its
 * notices say has to be foreseen: INTERNAL is for what nobody thought of.
 */
export class FsStoreFixture implements AsyncDisposable {
  readonly clock: VirtualClock = new VirtualClock();
  readonly changes: ChangeCount = new ChangeCount();
  readonly notices: NoticeEvent[] = [];
  readonly evictions: EvictionEvent[] = [];
  readonly quarantined: QuarantineEvent[] = [];
  readonly layout: Layout;
  readonly #folder: AsyncDisposable;
  readonly #options: Partial<FsStoreOptions>;
  #store: FsStore | undefined;

  private constructor(folder: { path: string } & AsyncDisposable, options: Partial<FsStoreOptions>) {
    this.#folder = folder;
    this.#options = options;
    this.layout = new Layout(folder.path);
  }

  /** @param at a folder that goes with the fixture; one of its own unless told */
  static async create(
    options: Partial<FsStoreOptions> = {},
    at?: { path: string } & AsyncDisposable,
  ): Promise<FsStoreFixture> {
    const fixture = new FsStoreFixture(at ?? (await tempFolder()), options);
    await fixture.open();
    return fixture;
  }

  get store(): FsStore {
    if (this.#store === undefined) throw new Error('the store is closed');
    return this.#store;
  }

  async open(): Promise<FsStore> {
    const channels = new Channels();
    channels.notice.subscribe((event) => this.notices.push(event));
    channels.eviction.subscribe((event) => this.evictions.push(event));
    channels.quarantine.subscribe((event) => this.quarantined.push(event));
    const options = { ...roomy, path: this.layout.root, ...this.#options };
    this.#store = await openFsStore({ clock: this.clock, channels, changes: this.changes }, options);
    return this.#store;
  }

  async close(): Promise<void> {
    const store = this.#store;
    this.#store = undefined;
    await store?.[Symbol.asyncDispose]();
  }

  /** Closes the store, lets `meanwhile` change what is on disk, and opens it again. */
  async reopen(meanwhile?: (layout: Layout) => Promise<void>): Promise<FsStore> {
    await this.close();
    await meanwhile?.(this.layout);
    return this.open();
  }

  /** Lets the store look every few seconds whether a trouble is over, until `isDone`. */
  async probeUntil(isDone: () => boolean): Promise<void> {
    for (let round = 0; round < 5000 && !isDone(); round++) {
      this.clock.advance(10_000);
      for (let turn = 0; turn < 20; turn++) await stat('/');
    }
    assert.ok(isDone(), this.store.health().join('; '));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    await this.#folder[Symbol.asyncDispose]();
    for (const { error, message } of this.notices) {
      if (error !== undefined) assert.notEqual(asAppError(error).code, 'INTERNAL', `nobody foresaw: ${message}`);
    }
  }
}
