import { AppError } from '../core/errors.ts';

/** The longest query that goes on to upstream. Page tokens of some registries have hundreds of characters. */
export const maxPassedOn = 2048;

/**
 * A query without containerd's `ns`, fit for a request line and a header: what is no character of a query is encoded, and
 * a plus too, which some servers take for a space.
 */
export function withoutNamespace(text: string): string {
  const pairs = text.split('&').filter((pair) => pair !== '' && decodePercent(pair.split('=', 1)[0] ?? '') !== 'ns');
  return pairs.join('&').replaceAll(/[^A-Za-z0-9\-._~%=&!$'()*,;:@/?]/gu, encodeURIComponent);
}

/** Undefined where the encoding is broken. */
export function decodePercent(raw: string): string | undefined {
  if (!raw.includes('%')) return raw;
  try {
    return decodeURIComponent(raw);
  } catch {
    return undefined;
  }
}

/** A query string. A plus is a plus (RFC 3986), as in media types: no value here can hold the space of web forms. */
export class Query {
  readonly #values = new Map<string, string[]>();
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
    if (text === '') return;
    for (const pair of text.split('&')) {
      const mark = pair.indexOf('=');
      const key = decodePercent(mark === -1 ? pair : pair.slice(0, mark));
      const value = decodePercent(mark === -1 ? '' : pair.slice(mark + 1));
      if (key === undefined || value === undefined) {
        throw new AppError('REQUEST_MALFORMED', 'the query has a broken percent-encoding');
      }
      const values = this.#values.get(key);
      if (values === undefined) this.#values.set(key, [value]);
      else values.push(value);
    }
  }

  /** The first value of `key`, where it is not empty. */
  first(key: string): string | undefined {
    return this.#values.get(key)?.[0] || undefined;
  }

  /** The value of `key` where it has exactly one: a filter that we may leave out is not guessed. */
  only(key: string): string | undefined {
    return this.#values.get(key)?.length === 1 ? this.first(key) : undefined;
  }

  /** containerd's namespace. Two of them would mean one registry to us and another to someone in between. */
  ns(): string | undefined {
    if ((this.#values.get('ns')?.length ?? 0) > 1) {
      throw new AppError('NAME_INVALID', 'the query has more than one "ns"');
    }
    return this.first('ns');
  }

  /** What goes on to upstream. Throws REQUEST_MALFORMED where it is too long. */
  passedOn(): string {
    const text = withoutNamespace(this.#text);
    if (text.length <= maxPassedOn) return text;
    throw new AppError('REQUEST_MALFORMED', `the query has more than ${maxPassedOn} characters`);
  }

  count(key: string): number | undefined {
    const text = this.first(key);
    if (text === undefined) return undefined;
    if (!/^\d{1,9}$/.test(text)) throw new AppError('REQUEST_MALFORMED', `"${key}" must be a number of entries`);
    return Number(text);
  }
}
