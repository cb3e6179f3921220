import type { RequestEvent } from './channels.ts';

/** Characters of one value at most: a client chooses some of them. */
export const maxValueLength = 1024;
/** Kinds of requests whose parts are kept. */
const maxKept = 1024;
/** Longer paths are none that many ask for. */
const maxKeptPath = 512;

interface Kept {
  /** What the parts were made of. */
  readonly event: RequestEvent;
  /** All between client and times; and what follows these. */
  readonly middle: string;
  readonly end: string;
}

/**
 * The lines of the access log, as JSON. What many requests have in common is made into text once.
 *
 * Invariant: parts are taken again only for a request that has the same in everything that they tell. They are bounded.
 */
export class RequestLines {
  /** By path. */
  readonly #kept = new Map<string, Kept>();

  /** `time` as it is to stand there. */
  line(event: RequestEvent, time: string): string {
    const known = this.#kept.get(event.path);
    const { middle, end } = known !== undefined && isAlike(known.event, event) ? known : this.#make(event);
    const first = event.firstByteMs === undefined ? '' : `,"firstByteMs":${tenths(event.firstByteMs)}`;
    const trace = event.traceId === undefined ? '' : `,"trace":"${event.traceId}"`;
    const head = `{"level":"info","time":"${time}","event":"request","id":${quoted(event.id)},"client":${quoted(event.client)}${trace}`;
    return `${head}${middle}${first},"durationMs":${tenths(event.durationMs)}${end}`;
  }

  #make(event: RequestEvent): Kept {
    const { status, errorCode, served, bytes, complete } = event;
    const middle = JSON.stringify({
      method: clipped(event.method),
      path: clipped(pathForLog(event.path)),
      registry: clipped(event.registry),
      repository: clipped(event.repository),
      reference: clipped(event.reference),
      ...{ status, error: errorCode, served, bytes, complete },
    });
    const { userAgent } = event;
    const end = userAgent === undefined ? '}\n' : `,"userAgent":${JSON.stringify(clipped(userAgent))}}\n`;
    const kept = { event, middle: `,${middle.slice(1, -1)}`, end };
    if (event.path.length > maxKeptPath || errorCode !== undefined) return kept;
    if (this.#kept.size >= maxKept) this.#kept.clear();
    this.#kept.set(event.path, kept);
    return kept;
  }
}

function isAlike(one: RequestEvent, other: RequestEvent): boolean {
  return (
    one.method === other.method &&
    one.path === other.path &&
    one.registry === other.registry &&
    one.repository === other.repository &&
    one.reference === other.reference &&
    one.status === other.status &&
    one.errorCode === other.errorCode &&
    one.served === other.served &&
    one.bytes === other.bytes &&
    one.complete === other.complete &&
    one.userAgent === other.userAgent
  );
}

const plainText = /^[\w.:-]*$/;

function quoted(text: string): string {
  return plainText.test(text) ? `"${text}"` : JSON.stringify(text);
}

/** Nothing but `ns` for a query, and no word in it that could be anything but a registry's name. */
const plainPath = /^[^?]*(\?ns=[\w.-]+)?$/;

/** The path without its query, which may hold anything; `ns` is a registry's name and stays, without a user in it. */
export function pathForLog(path: string): string {
  if (plainPath.test(path)) return path;
  const [bare = '', query] = path.split('?', 2);
  const ns = query === undefined ? null : new URLSearchParams(query).get('ns');
  return ns === null ? bare : `${bare}?ns=${encodeURIComponent(ns.slice(ns.lastIndexOf('@') + 1))}`;
}

export function clipped<T extends string | undefined>(text: T, maxLength = maxValueLength): T | string {
  return text !== undefined && text.length > maxLength ? `${text.slice(0, maxLength)}...` : text;
}

export function tenths<T extends number | undefined>(ms: T): T | number {
  return ms === undefined ? ms : Math.round(ms * 10) / 10;
}
