/** What upstreams sent of one content, and what became of it. */
export interface BillRow {
  readonly digest: string;
  readonly sizeBytes: number;
  /** How often it came into the store. */
  readonly arrivals: number;
  readonly sentBytes: number;
}

export interface BillFacts {
  readonly rows: readonly BillRow[];
  readonly receivedBytes: number;
  /** How often a blob was streamed to its readers without coming into the store. */
  readonly streamed: number;
  /** By kind of fault: what it made necessary to fetch again, at most. */
  readonly explainedBytes: Readonly<Record<string, number>>;
  /** In a life's last moments more may be received than is counted. */
  readonly wasRestarted: boolean;
}

/** Bytes from upstream over bytes that were needed. */
export interface UpstreamBill {
  /** What upstreams handed to their sockets. */
  readonly sentBytes: number;
  /** What onepull says it received. The rest was lost with connections that broke. */
  readonly receivedBytes: number;
  /** Every content as often as it came into the store, or was streamed without being kept. */
  readonly neededBytes: number;
  readonly streamedBytes: number;
  readonly explainedBytes: Readonly<Record<string, number>>;
  /** Received (sent, where onepull was restarted), less what was needed and what is explained. */
  readonly unexplainedBytes: number;
  /** What was fetched most beyond need. */
  readonly worst: readonly BillRow[];
}

const worstShown = 10;
/** A body that lacks less than this was sent as a whole, to somebody who left a little early. */
const almost = 0.02;

/**
 * What a run cost upstream, and how much of it nothing explains.
 *
 * Which blobs were streamed is not known, only how often that happened: as many whole bodies as that, of those that were
 * sent beyond what came into the store, the largest first. In favour of onepull, and never more than it says itself.
 */
export function upstreamBill({ rows, receivedBytes, streamed, explainedBytes, wasRestarted }: BillFacts): UpstreamBill {
  const sentBytes = sum(rows.map((row) => row.sentBytes));
  const streamedBytes = sum(
    rows
      .flatMap((row) => Array.from({ length: wholeBodiesBeyond(row) }, () => row.sizeBytes))
      .sort((a, b) => b - a)
      .slice(0, streamed),
  );
  const neededBytes = sum(rows.map(({ arrivals, sizeBytes }) => arrivals * sizeBytes)) + streamedBytes;
  const explained = sum(Object.values(explainedBytes));
  return {
    sentBytes,
    receivedBytes,
    neededBytes,
    streamedBytes,
    explainedBytes,
    unexplainedBytes: (wasRestarted ? sentBytes : receivedBytes) - neededBytes - explained,
    worst: rows.toSorted((a, b) => beyond(b) - beyond(a)).slice(0, worstShown),
  };
}

function beyond({ sentBytes, arrivals, sizeBytes }: BillRow): number {
  return sentBytes - arrivals * sizeBytes;
}

function wholeBodiesBeyond(row: BillRow): number {
  return Math.max(0, Math.floor(beyond(row) / row.sizeBytes + almost));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
