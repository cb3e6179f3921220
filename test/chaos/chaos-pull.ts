import { setTimeout as delay } from 'node:timers/promises';
import type { Content } from '../../src/cli/demo/image.ts';
import type { Digest } from '../../src/core/digest.ts';
import { type Download, PullClient, type ReadOptions } from '../support/client.ts';
import type { Lifeline } from './lifeline.ts';
import type { PullPlan } from './pull-plan.ts';
import { movingTag, type Placed, siblings, type World } from './world.ts';

/** Something that a client asked for and did not get. Times are epoch ms. */
export interface RequestFailure {
  readonly what: 'HEAD manifest' | 'GET manifest' | 'GET blob';
  readonly upstream: string;
  readonly repository: string;
  /** Tag or digest. */
  readonly reference: string;
  readonly startedAt: number;
  readonly endedAt: number;
  /**
   * `cut`: the body broke off. `no answer`: the connection did. `late`: nobody waits for so long. `wrong whole`: put
   * together from parts.
   */
  readonly outcome: 'status' | 'cut' | 'no answer' | 'late' | 'wrong bytes' | 'wrong whole';
  readonly status: number | undefined;
  readonly retryAfter: string | undefined;
  readonly message: string;
}

export interface Resolved {
  /** The place in the world of the image that was asked for. */
  readonly image: number;
  readonly tag: string;
  readonly digest: Digest;
  readonly at: number;
}

export interface PullReport {
  readonly n: number;
  readonly result: 'complete' | 'left' | 'failed';
  readonly failure: RequestFailure | undefined;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly bytes: number;
  /** Which digest the tag was said to have, and when. */
  readonly resolved: Resolved | undefined;
  /** Requests made again because onepull was away. */
  readonly repeats: number;
  /** The longest wait for headers, in ms. */
  readonly headersMs: number;
}

export interface PullTarget {
  readonly origin: string;
  readonly world: World;
  readonly lifeline: Lifeline;
  /** What ends everything early. */
  readonly signal: AbortSignal;
}

/** containerd waits 30 s for headers; a body may take as long as it brings bytes, and here this long. */
const patienceMs = 45_000;
const blobsAtOnce = 3;

class Failed extends Error {
  readonly failure: RequestFailure;

  constructor(failure: RequestFailure) {
    super(failure.message);
    this.failure = failure;
  }
}

/**
 * Pulls one image with a client of its own, as containerd does, and compares every byte with what it has to be. It gives
 * up at the first failure, except when onepull was away by the harness's doing: then it asks for the same once more.
 */
export async function chaosPull(target: PullTarget, plan: PullPlan): Promise<PullReport> {
  return new ChaosPull(target, plan).run();
}

class ChaosPull {
  readonly #target: PullTarget;
  readonly #plan: PullPlan;
  readonly #placed: Placed;
  #resolved: Resolved | undefined;
  #left = false;
  #failed = false;
  #bytes = 0;
  #repeats = 0;
  #headersMs = 0;

  constructor(target: PullTarget, plan: PullPlan) {
    this.#target = target;
    this.#plan = plan;
    const placed = target.world.images[plan.image];
    if (placed === undefined) throw new Error(`there is no image ${plan.image}`);
    this.#placed = placed;
  }

  async run(): Promise<PullReport> {
    const startedAt = Date.now();
    let failure: RequestFailure | undefined;
    await using client = new PullClient(this.#target.origin, { ns: this.#placed.upstream, isForgiving: true });
    try {
      await this.#pull(client);
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
      failure = error.failure;
    }
    return {
      n: this.#plan.n,
      result: failure !== undefined ? 'failed' : this.#left ? 'left' : 'complete',
      failure,
      startedAt,
      endedAt: Date.now(),
      bytes: this.#bytes,
      resolved: this.#resolved,
      repeats: this.#repeats,
      headersMs: this.#headersMs,
    };
  }

  async #pull(client: PullClient): Promise<void> {
    const { repository } = this.#placed;
    const { tag } = this.#plan;
    const head = await this.#ask('HEAD manifest', tag, () => client.headManifest(repository, tag, this.#patience()));
    const digest = String(head.headers['docker-content-digest'] ?? '');
    const placed = this.#imageOf(tag, digest);
    const { manifest, config, layers } = placed.image;
    await this.#ask(
      'GET manifest',
      digest,
      () => client.manifest(repository, digest, this.#patience(manifest)),
      manifest,
    );
    const left = [config, ...layers].values();
    const worker = async () => {
      for (const blob of left) {
        if (this.#left || this.#failed) return;
        await this.#blob(client, blob);
      }
    };
    await Promise.all(Array.from({ length: blobsAtOnce }, worker));
  }

  /** Which image the tag has to be: its own for a tag that never moves, some image of the repository for the other. */
  #imageOf(tag: string, digest: string): Placed {
    const candidates = tag === movingTag ? siblings(this.#target.world, this.#placed) : [this.#placed];
    const found = candidates.find(({ image }) => image.manifest.digest === digest);
    if (found === undefined)
      this.#fail('HEAD manifest', tag, Date.now(), 'wrong bytes', `${tag} is said to be ${digest}`);
    this.#resolved = { image: this.#plan.image, tag, digest: found.image.manifest.digest, at: Date.now() };
    return found;
  }

  async #blob(client: PullClient, blob: Content): Promise<void> {
    const { parts, leaveAt, slowMs } = this.#plan;
    const size = blob.bytes.length;
    const { repository } = this.#placed;
    if (parts > 1 && size > 4096) return this.#blobInParts(client, blob, parts);
    const leaveAfterBytes = leaveAt === undefined ? undefined : Math.max(1, Math.floor(leaveAt * size));
    const pace = slowMs === undefined ? {} : { paceBytesPerSecond: Math.max(1, (size / slowMs) * 1000) };
    const options = () => ({
      ...this.#patience(blob),
      ...pace,
      ...(leaveAfterBytes && size > 1 && { leaveAfterBytes }),
    });
    await this.#ask('GET blob', blob.digest, () => client.blob(repository, blob.digest, options()), blob);
  }

  /**
   * A part may be complete before the whole is verified, and then be wrong: whoever puts parts together has to check the
   * whole. The part that reaches the end of a wrong whole is cut; if all are complete, they are of different fills.
   */
  async #blobInParts(client: PullClient, blob: Content, parts: number): Promise<void> {
    const size = blob.bytes.length;
    const each = Math.ceil(size / parts);
    const starts = Array.from({ length: parts }, (_, n) => n * each).filter((start) => start < size);
    const startedAt = Date.now();
    const part = async (start: number) => {
      const end = Math.min(start + each, size);
      const expected = { ...blob, bytes: blob.bytes.subarray(start, end) };
      const range = { start, end };
      const got = await this.#ask('GET blob', blob.digest, () => {
        return client.blob(this.#placed.repository, blob.digest, { ...this.#patience(expected), range });
      });
      // A server may answer with the whole: one that does not know how large it is cannot do otherwise.
      const isAsLong = got.sizeBytes === (got.status === 206 ? end - start : size);
      const told = `${got.sizeBytes} bytes from ${start} to ${end}`;
      if (!isAsLong) this.#fail('GET blob', blob.digest, startedAt, 'wrong bytes', told, got);
      return got.digest === blob.digest; // `ReceivedDigest` says so of a part, too, where every byte of it is right
    };
    const areRight = await Promise.all(starts.map(part));
    if (areRight.every((isRight) => isRight)) return;
    this.#fail('GET blob', blob.digest, startedAt, 'wrong whole', `of ${parts} parts some are wrong`);
  }

  /** The answer, once it is whole and right. */
  async #ask(
    what: RequestFailure['what'],
    reference: string,
    request: () => Promise<Download>,
    expected?: Content,
  ): Promise<Download> {
    const { lifeline, signal } = this.#target;
    for (;;) {
      const [epoch, startedAt] = [lifeline.epoch, Date.now()];
      let failed: () => never;
      try {
        const download = await request();
        this.#bytes += download.sizeBytes;
        this.#headersMs = Math.max(this.#headersMs, download.headersMs);
        const problem = this.#problemOf(download, expected);
        if (problem === undefined) return download;
        failed = () => this.#fail(what, reference, startedAt, problem, saidIn(download), download);
      } catch (error) {
        const late = Date.now() - startedAt >= patienceMs;
        failed = () => this.#fail(what, reference, startedAt, late ? 'late' : 'no answer', String(error));
      }
      if (signal.aborted) failed();
      if (!lifeline.hasBrokenSince(epoch)) failed();
      this.#repeats++;
      while (lifeline.isAway && !signal.aborted) await delay(20);
    }
  }

  #problemOf(download: Download, expected: Content | undefined): RequestFailure['outcome'] | undefined {
    const { status, outcome, digest, sizeBytes, totalMs } = download;
    if (status !== 200 && status !== 206) return 'status';
    if (outcome === 'cut') return 'cut';
    if (outcome === 'left' && totalMs >= patienceMs) return 'late';
    if (outcome === 'left') {
      this.#left = true;
      return undefined;
    }
    if (expected === undefined) return undefined;
    return digest === expected.digest && sizeBytes === expected.bytes.length ? undefined : 'wrong bytes';
  }

  #patience(expected?: Content): ReadOptions {
    const signal = AbortSignal.any([AbortSignal.timeout(patienceMs), this.#target.signal]);
    return { signal, ...(expected && { expected }) };
  }

  #fail(
    what: RequestFailure['what'],
    reference: string,
    startedAt: number,
    outcome: RequestFailure['outcome'],
    message: string,
    download?: Download,
  ): never {
    this.#failed = true;
    const { upstream, repository } = this.#placed;
    const status = download?.status;
    const retryAfter = download?.headers['retry-after'];
    const endedAt = Date.now();
    throw new Failed({
      what,
      upstream,
      repository,
      reference,
      startedAt,
      endedAt,
      outcome,
      status,
      retryAfter,
      message,
    });
  }
}

function saidIn({ status, outcome, sizeBytes, body, headers }: Download): string {
  if (status >= 300) return body.toString().slice(0, 300);
  return `${outcome} after ${sizeBytes} of ${headers['content-length'] ?? 'unknown'} bytes`;
}
