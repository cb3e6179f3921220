import type { RequestFailure } from './chaos-pull.ts';
import { kindNamed } from './fault-kinds.ts';
import { endpointsOf, type FaultLog, type FaultWindow, takesAway } from './fault-log.ts';
import type { Flip } from './subject.ts';

/** What is to be thought of something that a client did not get. */
export interface Verdict {
  /** The reason it may be, or why it may not. */
  readonly cause:
    | 'all sources out'
    | 'damaged upstream'
    | 'damaged on disk'
    | 'refused'
    | 'wrong bytes'
    | 'too late'
    | 'known tag refused'
    | 'wrong answer'
    | 'while a source worked';
  readonly isPromiseBroken: boolean;
}

export interface JudgeOptions {
  /** `pull.headerTimeout`: who waits for headers is told by then. */
  readonly headerTimeoutMs: number;
  /** After an endpoint is back it may take so long until it is asked again. */
  readonly recoveryMs: number;
}

/** What a busy machine adds to a bound, in ms. */
const graceMs = 3000;

const broken = (cause: Verdict['cause']): Verdict => ({ cause, isPromiseBroken: true });
const allowed = (cause: Verdict['cause']): Verdict => ({ cause, isPromiseBroken: false });

/** A tag that is known is served when upstream is away, limits us or is slow (P7): nothing excuses its refusal. */
export const knownTagRefused: Verdict = broken('known tag refused');

/**
 * Whether a failure is one that clients may see. Only if, at some moment of the request, every endpoint of its upstream
 * was out for this content; or it read bytes that were damaged underway or on disk, and was cut; or a bound refused it
 * while the harness exceeded one. Then it has to be said cleanly and in time; everything else breaks a promise.
 */
export function judge(
  failure: RequestFailure,
  deps: { readonly log: FaultLog; readonly flips: readonly Flip[] },
  options: JudgeOptions,
): Verdict {
  const { outcome, startedAt, endedAt, status, retryAfter, reference } = failure;
  if (outcome === 'wrong bytes') return broken('wrong bytes');
  if (outcome === 'late') return broken('too late');
  if (outcome === 'status' && endedAt - startedAt > options.headerTimeoutMs + graceMs) return broken('too late');
  const during = deps.log.during(startedAt - options.recoveryMs, endedAt);
  if (status === 503 && isRefusal(during, retryAfter)) return allowed('refused');
  if (['cut', 'no answer', 'wrong whole'].includes(outcome) || (status ?? 0) >= 500) {
    if (deps.flips.some(({ digest, at }) => digest === reference && at <= endedAt)) return allowed('damaged on disk');
  }
  const isCut = outcome === 'cut' || outcome === 'wrong whole';
  if (isCut && during.some(({ fault }) => fault.kind === 'corrupt')) return allowed('damaged upstream');
  if (!allOut(failure, deps.log, options.recoveryMs)) return broken('while a source worked');
  const statuses = [404, 429, 500, 502, 503, 504];
  if (outcome === 'cut' || (status !== undefined && statuses.includes(status))) return allowed('all sources out');
  return broken('wrong answer');
}

/** The faults that were there, for who looks into a failure. */
export function activeDuring(log: FaultLog, { startedAt, endedAt }: RequestFailure): readonly string[] {
  return log.during(startedAt, endedAt).map(({ fault }) => `${fault.kind}@${fault.target}#${fault.id}`);
}

/** Whether there was a moment at which no endpoint of the upstream worked for this content. */
function allOut(
  { upstream, reference, startedAt, endedAt }: RequestFailure,
  log: FaultLog,
  recoveryMs: number,
): boolean {
  const outages = log
    .during(startedAt - recoveryMs, endedAt)
    .filter(({ fault }) => takesAway(fault, reference))
    .map((window) => ({ ...window, to: (window.to ?? Number.POSITIVE_INFINITY) + recoveryMs }));
  // If there is such a moment, then one is where the last of them went out.
  const moments = [startedAt, ...outages.map(({ from }) => from)].filter((at) => at >= startedAt && at <= endedAt);
  const isOut = (name: string, at: number) =>
    outages.some(({ fault, from, to }) => fault.target === name && from <= at && at <= to);
  return moments.some((at) => endpointsOf(upstream).every((name) => isOut(name, at)));
}

/** Nobody knows when a full disk has room again; who refuses for a bound of its own says when to come. */
function isRefusal(windows: readonly FaultWindow[], retryAfter: string | undefined): boolean {
  const kinds = windows.map(({ fault }) => fault.kind).filter((kind) => kindNamed(kind).effect === 'refusal');
  return kinds.some((kind) => kind === 'full' || retryAfter !== undefined);
}
