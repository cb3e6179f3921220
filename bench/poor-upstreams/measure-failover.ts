import type { ClientFleet } from '../support/clients/client-fleet.ts';
import { startOnepull } from '../support/subjects/onepull.ts';
import type { Upstream } from '../support/upstream/upstream.ts';
import type { UpstreamImage } from '../support/upstream/upstream-child.ts';

/** One cold burst in front of two endpoints, of which the preferred one may die half-way. */
export interface FailoverSample {
  readonly round: number;
  readonly dies: boolean;
  readonly clients: number;
  readonly failed: number;
  /** The slowest pull; undefined where not all were complete. */
  readonly slowestMs: number | undefined;
  readonly imageBytes: number;
  /** Of both endpoints together. */
  readonly bodyBytes: number;
  /** A cold pull of another image by one client, right after the burst: who died is not waited for. */
  readonly nextMs: number | undefined;
  /** What failed pulls said, each message once. */
  readonly errors: readonly string[];
}

export interface FailoverSetup {
  readonly preferred: Upstream;
  readonly other: Upstream;
  readonly fleet: ClientFleet;
  readonly image: UpstreamImage;
  readonly nextImage: UpstreamImage;
  readonly dies: boolean;
  readonly round: number;
  readonly clients: number;
  readonly capMs: number;
}

export async function measureFailover(setup: FailoverSetup): Promise<FailoverSample> {
  const { preferred, other, fleet, image, nextImage, dies, clients, capMs: deadlineMs } = setup;
  await Promise.all([preferred.reset(), other.reset()]);
  await using subject = await startOnepull([preferred.url, other.url]);
  if (dies) await preferred.dieAfter(image.totalBytes / 2);
  const { origin } = subject;
  const target = ({ repository, tag }: UpstreamImage) => ({ origin, repository, tag, verify: 8, deadlineMs });
  const { pulls } = await fleet.burst({ ...target(image), clients });
  const reports = await Promise.all([preferred.report(), other.report()]);
  const next = await fleet.burst({ ...target(nextImage), clients: 1 });
  if (dies) await preferred.comeBack();
  const failed = pulls.filter(({ result }) => result !== 'complete');
  const [nextPull] = next.pulls;
  return {
    round: setup.round,
    dies,
    clients,
    failed: failed.length,
    slowestMs: failed.length > 0 ? undefined : Math.round(Math.max(...pulls.map(({ totalMs }) => totalMs))),
    imageBytes: image.totalBytes,
    bodyBytes: reports.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0),
    nextMs: nextPull?.result === 'complete' ? Math.round(nextPull.totalMs) : undefined,
    errors: [...new Set(failed.map(({ error }) => error ?? 'unfinished'))].slice(0, 5),
  };
}
