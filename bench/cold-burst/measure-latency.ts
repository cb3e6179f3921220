import { ClientFleet } from '../support/clients/client-fleet.ts';
import { startOnepull } from '../support/subjects/onepull.ts';
import { Upstream } from '../support/upstream/upstream.ts';

/** Latencies while one blob arrives, in ms. */
export interface LatencySample {
  readonly repeat: number;
  readonly waiters: number;
  /** From right before the upstream writes a piece until a waiter has all of it: pieces times waiters. */
  readonly waiterMs: readonly number[];
  /** The whole answer to a range that is on disk while the upstream stands still. */
  readonly rangeMs: readonly number[];
  /** The longest time that an event loop stood still while pieces went out: latencies beyond both come from the disk. */
  readonly pauses: { readonly clientsMs: number; readonly cacheMs: number };
}

export const latencySetup = {
  /** What a waiter gets before the first mark, and where ranges are asked. */
  prefixBytes: 512 * 1024,
  pieceBytes: 16 * 1024,
  pieces: 64,
  pauseMs: 25,
  /** After the last mark, so that the end of the blob, which is held back until it is verified, plays no part. */
  tailBytes: 256 * 1024,
  ranges: 200,
  rangeBytes: 64 * 1024,
} as const;

/**
 * One blob whose upstream stands still at marks and writes one piece at a time to a line that is as fast as the machine.
 * Both ends of the measurement read the machine's monotonic clock.
 */
export async function measureLatency(waiters: number, repeats: number): Promise<LatencySample[]> {
  await using upstream = await Upstream.start();
  await using fleet = new ClientFleet(1);
  const samples: LatencySample[] = [];
  for (let repeat = 1; repeat <= repeats; repeat++) {
    samples.push(await measureOnce({ upstream, fleet }, repeat, waiters));
  }
  return samples;
}

async function measureOnce(
  { upstream, fleet }: { upstream: Upstream; fleet: ClientFleet },
  repeat: number,
  waiters: number,
): Promise<LatencySample> {
  const { prefixBytes, pieceBytes, pieces, pauseMs, tailBytes } = latencySetup;
  const sizeBytes = prefixBytes + pieces * pieceBytes + tailBytes;
  const repository = 'bench/held';
  const seed = `held ${repeat}`;
  const image = await upstream.add({ repository, tag: 'v1', seed, layerSizes: [sizeBytes] });
  const digest = image.blobs.at(-1)?.digest;
  if (digest === undefined) throw new Error('the image has no layer');
  const marks = Array.from({ length: pieces + 1 }, (_, n) => prefixBytes + n * pieceBytes);
  await upstream.calls.call('hold', { digest, offsets: marks });

  await using cache = await startOnepull([upstream.url]);
  // A blob is served through a repository that refers to it, which its manifest says.
  await fleet.first.call('manifest', { origin: cache.origin, repository, tag: 'v1' });
  const place = { origin: cache.origin, path: `/v2/${repository}/blobs/${digest}` };
  const following = fleet.first.call('follow', { ...place, waiters, marks });
  following.catch(() => {}); // It is awaited below; what fails before is told first.
  await upstream.calls.call('standsAt', prefixBytes);
  await fleet.first.call('followed');
  const rangeMs = await fleet.first.call('ranges', { ...place, ...rangesWithin(prefixBytes) });
  const pausesMs = () => Promise.all([fleet.first.call('longestPauseMs'), cache.longestPauseMs()]);
  await pausesMs(); // Forgets those before.
  const begun = await upstream.calls.call('walk', { offsets: marks, pauseMs });
  const arrivals = await following;
  const [clientsMs, cacheMs] = await pausesMs();
  const waiterMs = arrivals.flatMap((times) => {
    return times.slice(1).map((arrivedNs, n) => (arrivedNs - (begun[n] ?? Number.NaN)) / 1e6);
  });
  return {
    repeat,
    waiters,
    waiterMs: waiterMs.map(hundredths),
    rangeMs: rangeMs.map(hundredths),
    pauses: { clientsMs: hundredths(clientsMs), cacheMs: hundredths(cacheMs) },
  };
}

function rangesWithin(prefixBytes: number) {
  const { ranges, rangeBytes } = latencySetup;
  const places = prefixBytes - rangeBytes;
  const starts = Array.from({ length: ranges }, (_, n) => (n * 4099) % places);
  return { starts, sizeBytes: rangeBytes };
}

function hundredths(ms: number): number {
  return Math.round(ms * 100) / 100;
}
