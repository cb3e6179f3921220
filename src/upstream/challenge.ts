/** One challenge of a WWW-Authenticate header (RFC 9110 section 11.6.1), with its scheme and parameters' names in lower case. */
export interface Challenge {
  readonly scheme: string;
  readonly params: ReadonlyMap<string, string>;
}

const token = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;
const token68 = /[A-Za-z0-9\-._~+/]+=*(?=[ \t]*(?:,|$))/y;
const maxHeaderLength = 16_384;

/**
 * The challenges of a header, in its order. Several header lines may come joined by commas, and so may several
 * challenges in one line: a token is a parameter's name only where `=` follows it, otherwise it is a scheme. What does
 * not parse is skipped up to the next comma, so that one odd challenge does not hide a good one.
 */
export function parseChallenges(header: string | readonly string[] | undefined): Challenge[] {
  const text = (typeof header === 'string' ? header : (header ?? []).join(', ')).slice(0, maxHeaderLength);
  const challenges: { scheme: string; params: Map<string, string> }[] = [];
  const scanner = new Scanner(text);
  while (!scanner.atEnd) {
    scanner.skip(/[ \t,]*/y);
    const word = scanner.take(token);
    if (word === undefined) {
      scanner.skip(/[^,]*/y);
      continue;
    }
    const params = challenges.at(-1)?.params;
    if (scanner.take(/[ \t]*=[ \t]*/y) !== undefined) {
      const value = scanner.quoted() ?? scanner.take(/[^\s,]*/y) ?? '';
      if (params !== undefined && !params.has(word.toLowerCase())) params.set(word.toLowerCase(), value);
      continue;
    }
    challenges.push({ scheme: word.toLowerCase(), params: new Map() });
    scanner.skip(/[ \t]*/y);
    scanner.skip(token68, /[!#$%&'*+\-.^_`|~0-9A-Za-z]+[ \t]*=[ \t]*[^\s,=]/y);
  }
  return challenges;
}

class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get atEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) return undefined;
    this.#at += match[0].length;
    return match[0];
  }

  /** Passes over `pattern`, unless `unless` matches here. */
  skip(pattern: RegExp, unless?: RegExp): void {
    if (unless !== undefined) {
      unless.lastIndex = this.#at;
      if (unless.test(this.#text)) return;
    }
    this.take(pattern);
  }

  /** A quoted-string without its quotes and escapes; one that is not closed ends with the header. */
  quoted(): string | undefined {
    const raw = this.take(/"(?:[^"\\]|\\[\s\S])*(?:"|\\?$)/y);
    if (raw === undefined) return undefined;
    const inner = raw.length > 1 && raw.endsWith('"') ? raw.slice(1, -1) : raw.slice(1);
    return inner.replaceAll(/\\([\s\S])/g, '$1');
  }
}
