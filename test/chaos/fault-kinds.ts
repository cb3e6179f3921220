/** Where a fault strikes: an endpoint of the first upstream (`a1`, `a2`), the only one of the second (`b1`), or onepull. */
export type Target = 'a1' | 'a2' | 'b1' | 'onepull' | 'clients';

export type EndpointName = 'a1' | 'a2' | 'b1';

/**
 * What a fault allows clients to notice.
 * - `nothing`: it is to be survived even by an upstream's only endpoint.
 * - `outage`: the endpoint gives nothing, or not all. Clients notice only if no other endpoint works at that moment.
 * - `damage`: wrong bytes. Whoever has read some of them has to be cut; nobody is told anything else.
 * - `refusal`: 503 (for a bound of onepull's own with Retry-After), to who comes while it lasts.
 * - `restart`: onepull is away; a client asks again once it is back, as every container runtime does.
 */
export type Effect = 'nothing' | 'outage' | 'damage' | 'refusal' | 'restart';

export interface FaultKind {
  readonly name: string;
  readonly what: string;
  readonly targets: readonly Target[];
  readonly effect: Effect;
  /** How long it lasts, in ms, at least and at most. */
  readonly lengthMs: readonly [number, number];
}

const anywhere: readonly Target[] = ['a1', 'a2', 'b1'];
const signed: readonly Target[] = ['a1', 'b1'];
const kind = (
  name: string,
  targets: readonly Target[],
  effect: Effect,
  lengthMs: readonly [number, number],
  what: string,
): FaultKind => ({ name, targets, effect, lengthMs, what });

/** Every fault there is, by the name that `--faults` takes. */
export const faultKinds: readonly FaultKind[] = [
  kind(
    'cut',
    anywhere,
    'nothing',
    [3000, 8000],
    'connections are cut in mid-blob, three times for each blob (a small one once)',
  ),
  kind('stall', anywhere, 'nothing', [3000, 8000], 'a body of each blob stands still'),
  kind('drip', anywhere, 'nothing', [3000, 8000], 'a body of each blob brings 10 KiB a second'),
  kind('slow', anywhere, 'nothing', [2000, 6000], 'headers come late, twice for each reference'),
  kind('limit', anywhere, 'nothing', [1000, 4000], '429 with Retry-After to manifests, blobs or tokens'),
  kind('limit-bare', anywhere, 'nothing', [1000, 3000], '429 without Retry-After'),
  kind('busy', anywhere, 'nothing', [2000, 6000], '503, with or without Retry-After, twice for each reference'),
  kind('error', anywhere, 'nothing', [2000, 6000], '500, twice for each reference'),
  kind('length', anywhere, 'nothing', [2000, 6000], 'a wrong Content-Length or a short body, twice for each blob'),
  kind('ignore-range', anywhere, 'nothing', [3000, 8000], 'the whole blob with 200, whatever Range was asked for'),
  kind('headers', anywhere, 'nothing', [3000, 8000], 'no Content-Length, no Docker-Content-Digest'),
  kind('expired', signed, 'nothing', [2000, 6000], 'signed URLs expire all the time'),
  kind('tokens', signed, 'nothing', [2000, 6000], 'tokens are revoked all the time'),
  kind('token-away', signed, 'outage', [1000, 5000], 'the token server gives no answer'),
  kind('lag', ['a1', 'a2'], 'outage', [3000, 8000], 'a mirror that lags: 404 for half of what there is'),
  kind('away', anywhere, 'outage', [1000, 6000], 'connections are cut and refused, at the endpoint or at its CDN'),
  kind('hole', anywhere, 'outage', [2000, 6000], 'requests get no answer, bodies stand still'),
  kind('corrupt', ['a1', 'a2'], 'damage', [2000, 6000], 'one byte of every other blob and manifest is wrong'),
  kind('no-dns', ['a1'], 'nothing', [0, 0], 'the preferred endpoint has a name that nobody knows, all the time'),
  kind('leave', ['clients'], 'nothing', [0, 0], 'one client in ten leaves in mid-blob, all the time'),
  kind('overload', ['clients'], 'refusal', [2000, 4000], 'several times as many requests as onepull takes'),
  kind('kill', ['onepull'], 'restart', [0, 500], 'kill -9, and a start on the same data'),
  kind('term', ['onepull'], 'restart', [0, 500], 'SIGTERM, and a start on the same data'),
  kind('freeze', ['onepull'], 'nothing', [500, 1500], 'SIGSTOP, then SIGCONT'),
  kind('flip', ['onepull'], 'damage', [0, 0], 'a bit of a stored blob flips on disk'),
  kind('flip-restart', ['onepull'], 'damage', [0, 500], 'the same while onepull is away'),
  kind('no-catalog', ['onepull'], 'restart', [0, 500], 'kill -9, and the catalog is gone'),
  kind('full', ['onepull'], 'refusal', [2000, 5000], 'the disk is full (needs root, to mount a small one)'),
];

/** Those that hold for the whole run: nothing is scheduled for them. */
export const constantKinds: ReadonlySet<string> = new Set(['no-dns', 'leave']);

export function kindNamed(name: string): FaultKind {
  const found = faultKinds.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no fault is called ${name}`);
  return found;
}
