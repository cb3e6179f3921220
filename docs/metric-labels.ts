import type { FlightSnapshot } from '../src/flights/flight-snapshot.ts';
import type {
  CoalescedEvent,
  FlightEnd,
  HedgeEvent,
  PassThroughEvent,
  PauseEvent,
  PeerRefusedEvent,
  QuarantineEvent,
  RefusedEvent,
  RequestEvent,
  RetryEvent,
  ServedBytesEvent,
  ShareEvent,
  UpstreamRequestKind,
} from '../src/telemetry/channels.ts';
import type { MemoryFigures } from '../src/telemetry/memory-gauges.ts';

/** What a label of the metrics says. A label of one name may say different things in different metrics. */
export interface LabelDescription {
  readonly label: string;
  /** The metrics that it is for; undefined: all that have the label. */
  readonly metrics?: readonly string[];
  readonly meaning: string;
  /** All that it can be, each with its meaning; undefined where the set is not closed. */
  readonly values?: Readonly<Record<string, string>>;
}

// Each set is a type of the code: a value that is missing here, or that no longer exists, does not compile.
const memoryUses: Record<keyof MemoryFigures['shares'], string> = {
  blocks: 'blocks of hot content, which all answers share',
  queued: 'bytes that wait for clients to take them, and buffers (`server.maxQueued`, where that is set)',
  'small-blobs': 'small blobs that are filled in memory',
  manifests: 'manifests, and what is known of them',
  prepared: 'answers that are kept prepared',
};
const routes: Record<RequestEvent['route'], string> = {
  ping: '`/v2/`',
  manifest: 'a manifest',
  blob: 'a blob',
  tags: 'the list of tags of a repository',
  referrers: 'the list of what refers to a manifest',
  catalog: 'the list of repositories',
  other: 'none of these, what is no request, or what was refused before it was looked at',
};
const served: Record<NonNullable<RequestEvent['served']> | 'none', string> = {
  hit: 'from the cache, without a word to upstream',
  joined: 'from an upstream transfer that another request had begun',
  led: 'from an upstream transfer that this request began',
  revalidated: 'from the cache, after upstream said that it still holds',
  stale: 'from the cache, because upstream did not answer',
  none: 'without content: errors, `/v2/`',
};
const states: Record<FlightSnapshot['state'], string> = {
  waiting: 'for the store, for an answer of upstream, or for the time to try again',
  pulling: 'bytes come',
  verifying: 'all bytes are here, and their digest is computed and the blob put away',
  done: 'over, with the blob in the store; for a moment',
  failed: 'over, without it; for a moment',
};
const results: Record<FlightEnd, string> = {
  done: 'the blob is in the store',
  passed: 'it was streamed through memory to its end and is not in the store, which could not take it',
  failed:
    'it is not in the store, and those who waited were told why; where it was the disk that failed or was full, they are streamed the rest, which ends as `passed`',
  parked: 'stopped before its end: at a shutdown, or because nobody wanted it any more (`pull.abandon`)',
};
const origins: Record<ServedBytesEvent['from'], string> = {
  cache: 'what was in the store before',
  flight: 'a transfer in progress, from upstream or from another node',
};
const upstreamKinds: Record<UpstreamRequestKind, string> = {
  ping: '`/v2/`',
  manifest: 'a manifest',
  blob: 'a blob, also at the host that upstream redirects to',
  tags: 'a list of tags',
  referrers: 'a list of referrers',
  token: "a token, at the upstream's token server",
};
const coalescedKinds: Record<CoalescedEvent['kind'], string> = {
  blob: 'the transfer of a blob',
  manifest: 'a manifest, or what a tag points to',
  'blob-head': 'the question whether a repository has a blob',
  token: 'a token',
  tags: 'a list of tags',
  referrers: 'a list of referrers',
};

const retryKinds: Record<RetryEvent['kind'], string> = {
  manifest: 'a manifest, or what a tag points to',
  blob: 'a blob, or a part of one',
  list: 'a list of tags or referrers',
};
const pauses: Record<PauseEvent['what'], string> = {
  manifests: 'manifests',
  blobs: 'blobs',
  everything: 'all that the endpoint could be asked for',
};
const hedges: Record<HedgeEvent['outcome'], string> = {
  won: 'the second endpoint answered first',
  lost: 'the first endpoint answered after all, and first',
  failed: 'both failed',
};
const bounds: Record<RefusedEvent['bound'], string> = {
  connections: '`server.maxConnections`',
  responses: '`server.maxResponses`',
  'queued-bytes': '`server.maxQueued`',
  flights: '`pull.maxFlights`',
  descriptors: 'the file descriptors that the system allows the process',
  'pass-through': '`pull.passThroughMemory`',
};
const finders: Record<QuarantineEvent['foundBy'], string> = {
  scrub: 'the scrub in the background',
  serving: 'an answer that was about to end with it',
};
const passCauses: Record<PassThroughEvent['cause'], string> = {
  'too-large': 'the blob is larger than the cache may be',
  'disk-full': 'the disk is full',
  'cache-in-use':
    'the disk has room, but all that could leave `storage.maxSize` for it is being filled or read, or pinned',
  'disk-failed': 'the disk does not take or give what it should',
};

const refusals: Record<PeerRefusedEvent['reason'], string> = {
  signature: 'another node does not know this one: `cluster.peer.secret` is not the same',
  certificate: "one of the two does not accept the other's certificate (`cluster.peer.tls`)",
  plain: 'one of the two speaks plain HTTP, the other one TLS',
};
const places: Record<ShareEvent['place'], string> = {
  leads: 'this node asks upstream, for all nodes',
  follows: 'it reads from another node',
  alone:
    'it asks upstream without the word of the others: the engine does not answer, or the node that leads cannot be reached',
  'took-over': 'it followed, and asks upstream for all now',
};

export const labelDescriptions: readonly LabelDescription[] = [
  { label: 'code', meaning: 'An error code of [ERRORS.md](ERRORS.md).' },
  { label: 'from', meaning: 'Where the bytes came from.', values: origins },
  {
    label: 'kind',
    metrics: ['onepull_upstream_requests_total', 'onepull_upstream_response_seconds'],
    meaning: 'What was asked for.',
    values: upstreamKinds,
  },
  {
    label: 'kind',
    metrics: ['onepull_coalesced_requests_total'],
    meaning: 'What was shared.',
    values: coalescedKinds,
  },
  { label: 'bound', meaning: 'The bound that was reached.', values: bounds },
  {
    label: 'cause',
    metrics: ['onepull_passed_through_total'],
    meaning: 'Why the disk could not take it.',
    values: passCauses,
  },
  {
    label: 'cause',
    metrics: ['onepull_upstream_retries_total'],
    meaning: 'What the attempt before failed of: an error code of [ERRORS.md](ERRORS.md).',
  },
  { label: 'endpoint', meaning: "The endpoint's host, with the path where its address has one." },
  {
    label: 'failover',
    meaning: 'Whether the next attempt is made at another endpoint: `true` or `false`.',
  },
  { label: 'found_by', meaning: 'What found the damage.', values: finders },
  {
    label: 'kind',
    metrics: ['onepull_upstream_retries_total'],
    meaning: 'What is asked for again.',
    values: retryKinds,
  },
  {
    label: 'method',
    meaning: 'The HTTP method; `other` for one that HTTP does not have, and where none was understood.',
  },
  { label: 'outcome', meaning: 'What came of it.', values: hedges },
  { label: 'place', meaning: 'The place of the fill.', values: places },
  { label: 'reason', metrics: ['onepull_peer_refused_total'], meaning: 'What was wrong.', values: refusals },
  { label: 'result', meaning: 'How the pull ended.', values: results },
  { label: 'route', meaning: 'What the client asked for.', values: routes },
  { label: 'served', meaning: 'How the content came to be here.', values: served },
  { label: 'state', meaning: 'What the pull is at.', values: states },
  {
    label: 'status',
    meaning: 'The HTTP status; where none came (from upstream only), an error code of [ERRORS.md](ERRORS.md).',
  },
  {
    label: 'thread',
    meaning: '`main` (the store, upstreams and the admin API), or one that answers clients (`server.threads`).',
  },
  { label: 'upstream', meaning: "The upstream's name in the configuration." },
  { label: 'use', meaning: 'What memory is set aside for.', values: memoryUses },
  { label: 'version', meaning: 'The version of onepull.' },
  { label: 'what', meaning: 'What is not asked for meanwhile.', values: pauses },
];
