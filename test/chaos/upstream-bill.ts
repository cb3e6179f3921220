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
  /** What onepull says came for blobs that were streamed to their readers without coming into the store. */
  readonly streamedBytes: number;
  /** By kind of fault: what it made necessary to fetch again, at most. */
  readonly explainedBytes: Readonly<Record<string, number>>;
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
  /** Received, less what was needed and what is explained. */
  readonly unexplainedBytes: number;
  /** What was fetched most beyond need. */
  readonly worst: readonly BillRow[];
}

const worstShown = 10;

/**
 * What a run cost upstream, and how much of it nothing explains.
 *
 * How much was streamed is onepull's own word: readers who are further apart than a window of memory have a transfer each,
 * and one who leaves has had a part. It is never taken for more than was sent beyond what came into the store.
 *
 * What was sent and not received is no cost of onepull's asking twice: it was lost in kernels, up to some megabytes with each
 * connection that broke or was given up, which in a run of thousands of faults makes gigabytes. What came in the last moments
 * of a life that was ended is not counted, although what it completed is: with restarts the bill is a little too low.
 */
export function upstreamBill(facts: BillFacts): UpstreamBill {
  const { rows, receivedBytes, explainedBytes } = facts;
  const sentBytes = sum(rows.map((row) => row.sentBytes));
  const streamedBytes = Math.min(facts.streamedBytes, sum(rows.map((row) => Math.max(0, beyond(row)))));
  const neededBytes = sum(rows.map(({ arrivals, sizeBytes }) => arrivals * sizeBytes)) + streamedBytes;
  const explained = sum(Object.values(explainedBytes));
  return {
    sentBytes,
    receivedBytes,
    neededBytes,
    streamedBytes,
    explainedBytes,
    unexplainedBytes: receivedBytes - neededBytes - explained,
    worst: rows.toSorted((a, b) => beyond(b) - beyond(a)).slice(0, worstShown),
  };
}

function beyond({ sentBytes, arrivals, sizeBytes }: BillRow): number {
  return sentBytes - arrivals * sizeBytes;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
