import { fileURLToPath } from 'node:url';
import { run } from '../../../test/support/child.ts';
import { childrenCpuMs } from '../cpu-time.ts';
import { type Load, type LoadOutcome, type LoadRequest, rangesOf } from './load.ts';

const script = fileURLToPath(new URL('./wrk-script.lua', import.meta.url));
/** No answer takes so long that it counts as lost: a large body to one of many connections takes longer than a run. */
const timeout = '600s';

/** wrk's own result, as its script prints it. */
interface WrkResult {
  readonly requests: number;
  readonly bytes: number;
  readonly durationUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
  readonly connect: number;
  readonly read: number;
  readonly write: number;
  readonly timeout: number;
  /** Answers with a status of 400 or more. */
  readonly status: number;
}

/** Load from wrk, a client in C that costs little for a small answer; it reads large ones in pieces of 8 KiB. */
export async function wrk(request: LoadRequest, load: Load & { readonly threads: number }): Promise<LoadOutcome> {
  const cpuBefore = await childrenCpuMs();
  const { code, stdout, stderr } = await run('wrk', wrkArguments(request, load));
  const clientMs = (await childrenCpuMs()) - cpuBefore;
  if (code !== 0) throw new Error(`wrk ended with ${code}: ${stdout}\n${stderr}`);
  return { ...wrkOutcome(stdout), clientMs };
}

export function wrkArguments(
  { origin, path, method, headers, sizeBytes, rangeBytes }: LoadRequest,
  { connections, durationMs, threads }: Load & { readonly threads: number },
): string[] {
  const ranges = rangeBytes === undefined ? [] : rangesOf(sizeBytes, rangeBytes);
  const seconds = Math.max(1, Math.round(durationMs / 1000));
  return [
    ...['-t', String(threads), '-c', String(connections), '-d', `${seconds}s`, '--timeout', timeout, '-s', script],
    ...[`${origin}${path}`, '--', method],
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ...ranges.map(({ first, last }) => `range ${first}-${last}`),
  ];
}

/** Reads what the script printed last. */
export function wrkOutcome(stdout: string): Omit<LoadOutcome, 'clientMs'> {
  const line = stdout.split('\n').findLast((text) => text.startsWith('{'));
  if (line === undefined) throw new Error(`wrk told no result: ${stdout}`);
  const result = JSON.parse(line) as WrkResult;
  const kinds = ['connect', 'read', 'write', 'timeout', 'status'] as const;
  return {
    requests: result.requests,
    bytes: result.bytes,
    seconds: result.durationUs / 1e6,
    latency: { p50: result.p50Us / 1000, p99: result.p99Us / 1000, max: result.maxUs / 1000 },
    errors: kinds.filter((kind) => result[kind] > 0).map((kind) => `${result[kind]} ${kind} errors`),
  };
}
