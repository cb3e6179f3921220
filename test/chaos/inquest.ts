import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Digest } from '../../src/core/digest.ts';
import type { PullReport, RequestFailure } from './chaos-pull.ts';
import type { RushReport } from './crowd.ts';
import type { FaultLog } from './fault-log.ts';
import type { Internet, SentBytes } from './internet.ts';
import { activeDuring, judge, knownTagRefused } from './judge.ts';
import { KnownTags } from './known-tags.ts';
import { type FailureEntry, type Ledger, type OpenFiles, PullCounts } from './ledger.ts';
import type { ChaosOptions } from './options.ts';
import { bounds } from './settings.ts';
import type { Subject } from './subject.ts';
import type { TagMoves } from './tag-moves.ts';
import { type UpstreamBill, upstreamBill } from './upstream-bill.ts';
import type { Descriptors } from './vitals.ts';
import { contentsOf, movingTag, type World } from './world.ts';

interface Deps {
  readonly world: World;
  readonly subject: Subject;
  readonly internet: Internet;
  readonly log: FaultLog;
  readonly moves: TagMoves;
}

interface Circumstances {
  readonly command: string;
  readonly startedAt: number;
  readonly endedEarly: boolean;
  readonly faults: readonly string[];
  readonly leftOut: readonly string[];
  readonly rushes: readonly RushReport[];
}

const quietDeadlineMs = 20_000;
/** So many files of content stay open for the next reader (`maxIdle` of the store). */
const mostIdleContent = 512;
/** A tag is fresh for 2 s, revalidated within the header timeout; a fault some time ago may still be felt. */
const staleMs = 15_000;

/** Collects what is seen during a run and, at its end, what is left; comes to a ledger. */
export class Inquest {
  readonly #deps: Deps;
  readonly #options: ChaosOptions;
  readonly counts: PullCounts = new PullCounts();
  readonly #failures: FailureEntry[] = [];
  readonly #knownTags = new KnownTags();
  readonly #wedged: string[] = [];
  readonly #staleTags: string[] = [];
  #wrongBytes = 0;
  #sent: SentBytes | undefined;
  #warm: Descriptors | undefined;
  #end: Descriptors | undefined;
  #flightsLeft: readonly string[] = [];
  #damagedFiles: readonly string[] = [];
  #condemned: FilesByDigest = { sound: [], damaged: [] };

  constructor(deps: Deps, options: ChaosOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  get brokenCount(): number {
    return this.#failures.filter(({ isPromiseBroken }) => isPromiseBroken).length;
  }

  note(report: PullReport): void {
    this.counts.add(report);
    this.#noteTag(report);
    if (report.failure !== undefined) this.#noteFailure(report.failure, report.n);
  }

  noteRush({ failures }: RushReport): void {
    for (const failure of failures) this.#noteFailure(failure, undefined);
  }

  #noteFailure(failure: RequestFailure, pull: number | undefined): void {
    const { log, subject } = this.#deps;
    const isKnown = this.#knownTags.hasToBeServed(failure, { log, store: subject.store });
    const verdict = isKnown ? knownTagRefused : judge(failure, { log, flips: subject.flips }, bounds);
    if (verdict.cause === 'wrong bytes') this.#wrongBytes++;
    this.#failures.push({
      ...failure,
      ...verdict,
      pull,
      at: new Date(failure.startedAt).toISOString(),
      tookMs: failure.endedAt - failure.startedAt,
      active: activeDuring(log, failure),
    });
  }

  noteSwept(report: PullReport): void {
    const { failure } = report;
    if (failure === undefined) return;
    if (failure.outcome === 'wrong bytes') this.#wrongBytes++;
    const { what, upstream, repository, reference, status, outcome, message } = failure;
    const isFlip = outcome === 'cut' && this.#deps.subject.flips.some(({ digest }) => digest === reference);
    if (isFlip) return; // it is found by being read: the next client gets it
    this.#wedged.push(
      `${what} ${upstream}/${repository} ${reference}: ${status ?? ''} ${outcome} ${message.slice(0, 200)}`,
    );
  }

  /** What onepull has open when it has done some work and nobody asks for anything. */
  async noteWarm(): Promise<void> {
    this.#warm = await this.#quietDescriptors(() => false, 1000);
  }

  /** Everybody has left: waits until nothing is open that was not, and looks at what is left. */
  async close(hurry: boolean): Promise<void> {
    const { subject, internet } = this.#deps;
    const deadlineMs = hurry ? 2000 : quietDeadlineMs;
    const giveUpAt = Date.now() + deadlineMs;
    do {
      this.#flightsLeft = await this.#openFlights();
      if (this.#flightsLeft.length === 0 && (await this.#partialFiles()).length === 0) break;
      await delay(200);
    } while (Date.now() < giveUpAt);
    this.#sent = await internet.sent();
    // Connections that onepull keeps for later end with the upstreams: what is open now is a leak.
    await internet[Symbol.asyncDispose]();
    this.#end = await this.#quietDescriptors((now) => this.#isNoMoreThanWarm(now), deadlineMs);
    await subject.end();
    this.#damagedFiles = await this.#damaged();
    this.#condemned = await filesByDigest(join(subject.root, 'quarantine'));
  }

  async ledger({ command, startedAt, endedEarly, faults, leftOut, rushes }: Circumstances): Promise<Ledger> {
    const { world, subject, log } = this.#deps;
    const { seed, pulls } = this.#options;
    return {
      command,
      seed,
      startedAt: new Date(startedAt).toISOString(),
      tookMs: Date.now() - startedAt,
      endedEarly,
      faultKinds: faults,
      leftOut,
      world: { images: world.images.length, totalBytes: world.totalBytes, cacheBytes: world.cacheBytes },
      pulls: { wanted: pulls, ...this.counts.plain },
      rushes: {
        requests: rushes.reduce((sum, rush) => sum + rush.requests, 0),
        complete: rushes.reduce((sum, rush) => sum + rush.complete, 0),
        refused: rushes.reduce((sum, rush) => sum + rush.refused, 0),
      },
      faults: log.counts(),
      failures: this.#failures,
      wrongBytes: this.#wrongBytes,
      staleTags: this.#staleTags,
      upstream: this.#upstream(),
      wedged: this.#wedged,
      process: {
        lives: subject.lives,
        crashes: subject.crashes,
        peakRssBytes: subject.peakRssBytes,
        peakCacheBytes: subject.peakCacheBytes,
        warm: this.#warm && plain(this.#warm),
        end: this.#end && plain(this.#end),
        leftOpen: endedEarly ? [] : this.#leftOpen(),
        flightsLeft: this.#flightsLeft,
        partialFilesLeft: endedEarly ? [] : await this.#partialFiles(),
        damagedFiles: this.#damagedFiles,
        quarantinedFiles: this.#condemned.damaged.length,
        soundQuarantined: this.#condemned.sound,
        errorLines: this.#logged('error'),
        warnLines: this.#logged('warn'),
        counters: subject.counters,
      },
    };
  }

  #noteTag({ resolved, startedAt }: PullReport): void {
    const placed = resolved && this.#deps.world.images[resolved.image];
    if (resolved === undefined || placed === undefined) return;
    this.#knownTags.note(`${placed.upstream}/${placed.repository}:${resolved.tag}`, resolved);
    if (resolved.tag !== movingTag) return;
    const leftAt = this.#deps.moves.leftAt(placed, resolved.digest);
    if (leftAt === undefined || startedAt - leftAt < staleMs) return;
    if (this.#deps.log.during(leftAt, resolved.at).length > 0) return;
    const age = Math.round((startedAt - leftAt) / 1000);
    this.#staleTags.push(`${placed.upstream}/${placed.repository} is said to be what it was ${age} s before`);
  }

  #upstream(): UpstreamBill {
    const { world, subject } = this.#deps;
    const { byDigest, explained } = this.#sent ?? { byDigest: new Map<Digest, number>(), explained: {} };
    const contents = new Map(world.images.flatMap(({ image }) => contentsOf(image)).map((c) => [c.digest, c]));
    const rows = [...contents].map(([digest, { bytes }]) => {
      const sentBytes = byDigest.get(digest) ?? 0;
      return { digest, sizeBytes: bytes.length, arrivals: subject.store.arrivals(digest), sentBytes };
    });
    return upstreamBill({
      rows,
      receivedBytes: subject.counted(/^onepull_upstream_bytes_total/),
      streamedBytes: subject.counted(/^onepull_passed_bytes_total/),
      explainedBytes: explained,
    });
  }

  /** Log lines of a level, alike ones together. */
  #logged(level: string): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const line of this.#deps.subject.log) {
      const isStray = line.text !== undefined && level === 'error'; // not written by the logger: a stack, say
      if (line.level !== level && !isStray) continue;
      const { code, message } = (line.error ?? {}) as { code?: string; message?: string };
      const text = `${line.message ?? line.text ?? line.event}${code === undefined ? '' : ` [${code}] ${message ?? ''}`}`;
      const name = text.replaceAll(/sha\d+[:-][0-9a-f]+/g, '<digest>').replaceAll(/\d{2,}/g, 'N');
      counts[name] = (counts[name] ?? 0) + 1;
    }
    return counts;
  }

  #leftOpen(): readonly string[] {
    const [warm, end] = [this.#warm, this.#end];
    if (warm === undefined || end === undefined || this.#isNoMoreThanWarm(end)) return [];
    const known = new Set(warm.names);
    const files = end.names.filter((name) => !known.has(name));
    return [`${end.sockets} sockets (${warm.sockets} when warm), ${end.content} files of content`, ...files];
  }

  #isNoMoreThanWarm(now: Descriptors): boolean {
    const warm = this.#warm;
    if (now.content > mostIdleContent) return false;
    return warm === undefined || (now.files <= warm.files && now.sockets <= warm.sockets && now.others <= warm.others);
  }

  /** What is open once it is few enough, or does not get less. */
  async #quietDescriptors(isFew: (now: Descriptors) => boolean, deadlineMs: number): Promise<Descriptors | undefined> {
    const giveUpAt = Date.now() + deadlineMs;
    let now = await this.#deps.subject.descriptors();
    while (now !== undefined && !isFew(now) && Date.now() < giveUpAt) {
      await delay(200);
      now = await this.#deps.subject.descriptors();
    }
    return now;
  }

  async #openFlights(): Promise<readonly string[]> {
    const flights = await this.#deps.subject.admin.flights().catch(() => []);
    return flights
      .filter(({ state }) => state !== 'done' && state !== 'failed')
      .map((f) => `${f.digest} is ${f.state}`);
  }

  async #partialFiles(): Promise<readonly string[]> {
    const names = await filesIn(join(this.#deps.subject.root, 'ingest'));
    return names.filter((name) => /\.(part|json|tmp)$/.test(name));
  }

  /** Files of the store that are not what their name says, except where the harness flipped a bit. */
  async #damaged(): Promise<readonly string[]> {
    const { subject } = this.#deps;
    const flipped = new Set<string>(subject.flips.map(({ digest }) => digest));
    const wrong = await filesByDigest(join(subject.root, 'blobs', 'sha256'));
    return wrong.damaged.filter((name) => !flipped.has(`sha256:${name}`));
  }
}

function plain({ files, content, sockets, others }: Descriptors): OpenFiles {
  return { files, content, sockets, others };
}

interface FilesByDigest {
  readonly sound: readonly string[];
  readonly damaged: readonly string[];
}

/** Which files of a folder are what the digest at the end of their names says. */
async function filesByDigest(folder: string): Promise<FilesByDigest> {
  const files = { sound: [] as string[], damaged: [] as string[] };
  for (const name of await filesIn(folder)) {
    const hash = createHash('sha256');
    await pipeline(createReadStream(join(folder, name)), hash);
    files[name.endsWith(hash.digest('hex')) ? 'sound' : 'damaged'].push(name);
  }
  return files;
}

function filesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}
