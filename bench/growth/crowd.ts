import { LeanConnection } from '../support/clients/lean-connection.ts';
import { quantile } from '../support/statistics.ts';

export interface CrowdRequest {
  /** `http://host:port` */
  readonly origin: string;
  readonly connections: number;
  readonly durationMs: number;
  /** Left out of the figures: connections are made, and all is asked for once. */
  readonly warmUpMs: number;
}

export interface CrowdOutcome {
  readonly seconds: number;
  /** Complete answers, and bytes of bodies, complete or not. */
  readonly answers: number;
  readonly bytes: number;
  /** Milliseconds from a request to the end of its answer. NaN where none was complete. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** What the connection that got the fewest bytes got, over that with the most: 1 is fair. */
  readonly fairness: number;
  /** Connections that failed, and why. */
  readonly failed: number;
  readonly errors: readonly string[];
  readonly cpuMs: number;
}

/** At most so many latencies are kept. */
const maxLatencies = 200_000;
// All at once would be more than a listener keeps waiting (its backlog).
const connectAtOnce = 100;

/**
 * Connections that each ask for one path after the other, of which `nextPath` says the next; a status other than 200 fails
 * the connection. All stop when the time is up, in mid-body or not.
 */
export async function crowd(request: CrowdRequest, nextPath: () => string): Promise<CrowdOutcome> {
  const { origin, connections: count, durationMs, warmUpMs } = request;
  using open = new DisposableStack();
  const members = Array.from({ length: count }, () => ({ bytes: 0, answers: 0 }));
  const latencies: number[] = [];
  const errors: string[] = [];
  let [isMeasuring, isOver] = [false, false];
  const member = async (own: { bytes: number; answers: number }) => {
    const connection = open.use(new LeanConnection(origin));
    const sink = (chunk: Uint8Array) => {
      if (isMeasuring) own.bytes += chunk.length;
    };
    while (!isOver) {
      const askedAt = performance.now();
      const { status } = await connection.request('GET', nextPath(), {}, sink);
      if (status !== 200) throw new Error(`status ${status}`);
      if (!isMeasuring) continue;
      own.answers++;
      if (latencies.length < maxLatencies) latencies.push(performance.now() - askedAt);
    }
  };
  const running = members.map(async (own, n) => {
    await delay(Math.floor(n / connectAtOnce) * 10);
    await member(own).catch((error: Error) => {
      if (!isOver) errors.push(error.message);
    });
  });
  await delay(Math.floor(count / connectAtOnce) * 10 + warmUpMs);
  const [startedAt, cpuBefore] = [performance.now(), process.cpuUsage()];
  isMeasuring = true;
  await delay(durationMs);
  isMeasuring = false;
  isOver = true;
  const seconds = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  open.dispose();
  await Promise.all(running);
  const bytes = members.map((own) => own.bytes);
  return {
    seconds,
    answers: members.reduce((sum, { answers }) => sum + answers, 0),
    bytes: bytes.reduce((sum, own) => sum + own, 0),
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    fairness: least(bytes) / most(bytes),
    failed: errors.length,
    errors: [...new Set(errors)].slice(0, 5),
    cpuMs: (user + system) / 1000,
  };
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function least(values: readonly number[]): number {
  return values.reduce((one, other) => Math.min(one, other), Number.POSITIVE_INFINITY);
}

function most(values: readonly number[]): number {
  return values.reduce((one, other) => Math.max(one, other), 0);
}
