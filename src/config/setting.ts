import { z } from 'zod';
import { type Address, isHost, parseAddress } from '../core/address.ts';
import { parseDuration, parseSize } from '../core/units.ts';

/**
 * The kinds of value that a setting can have. Each is a zod schema that takes what YAML or a variable gives, says in
 * a sentence what is wrong with it, and yields the typed value. No sentence ever holds a value that may be a secret.
 */
export type SettingKind =
  | 'text'
  | 'file'
  | 'secret'
  | 'choice'
  | 'boolean'
  | 'integer'
  | 'size'
  | 'duration'
  | 'address'
  | 'url'
  | 'host';

declare module 'zod' {
  interface GlobalMeta {
    kind?: SettingKind;
    /** A list of such values; in a variable they are separated by commas. */
    list?: boolean;
    /** What the type column of the reference says, where it says more than the kind. */
    form?: string;
    /** The command line's `--flag` that sets it. */
    flag?: string;
    /** Keys beside this one that mean the same thing otherwise: a later source that sets this key clears them. */
    rivals?: readonly string[];
  }
}

class Refusal {
  readonly problem: string;
  readonly hint: string;

  constructor(problem: string, hint: string) {
    this.problem = problem;
    this.hint = hint;
  }
}

type Parse<T> = (value: unknown) => T | Refusal;
type Setting<T> = z.ZodPipe<z.ZodUnknown, z.ZodTransform<T, unknown>>;

interface Bounds {
  readonly min?: string;
  readonly max?: string;
}

export function text(): Setting<string> {
  return setting(parseText).meta({ kind: 'text' });
}

/** A path of a file that must be readable; the loader looks. */
export function file(): Setting<string> {
  return setting(parseText).meta({ kind: 'file' });
}

export function secret(): Setting<string> {
  return setting(parseText).meta({ kind: 'secret' });
}

export function choice<const T extends string>(...values: readonly T[]): Setting<T> {
  const parse: Parse<T> = (value) =>
    values.find((known) => known === value) ??
    new Refusal(`${shown(value)} is not one of its values`, `one of: ${values.join(', ')}`);
  return setting(parse).meta({ kind: 'choice', form: values.map((value) => `\`${value}\``).join(', ') });
}

export function flag(): Setting<boolean> {
  return setting((value) =>
    typeof value === 'boolean'
      ? value
      : new Refusal(`${shown(value)} is neither true nor false`, 'write true or false'),
  ).meta({ kind: 'boolean' });
}

export function integer(min: number, max: number): Setting<number> {
  return setting((value) =>
    typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
      ? value
      : new Refusal(`${shown(value)} is not a whole number from ${min} to ${max}`, `a number from ${min} to ${max}`),
  ).meta({ kind: 'integer', form: `integer, ${min} to ${max}` });
}

/** A number of bytes, as `50GiB` or a plain number. */
export function size(bounds: Bounds): Setting<number> {
  return setting((value) => {
    const bytes = typeof value === 'string' ? parseSize(value) : value;
    if (typeof bytes !== 'number' || !Number.isSafeInteger(bytes) || bytes < 0) {
      return new Refusal(`${shown(value)} is not a size`, 'a number of bytes, or with a unit such as 512MiB or 50GiB');
    }
    return withinBounds(bytes, shown(value), bounds, parseSize);
  }).meta({ kind: 'size', form: form('size', bounds) });
}

/** Milliseconds, as `250ms`, `10s` or `1m30s`. A plain number has no unit and is refused. */
export function duration(bounds: Bounds): Setting<number> {
  return setting((value) => {
    if (typeof value === 'number') return new Refusal(`${value} has no unit`, `for seconds, write ${value}s`);
    const ms = typeof value === 'string' ? parseDuration(value) : undefined;
    if (ms === undefined)
      return new Refusal(`${shown(value)} is not a duration`, 'for example 250ms, 10s, 1m30s or 2h');
    return withinBounds(ms, shown(value), bounds, parseDuration);
  }).meta({ kind: 'duration', form: form('duration', bounds) });
}

/** `host:port` to listen on; the hint for a host alone has `usualPort`. */
export function address(usualPort: number): Setting<Address> {
  return setting((value) => {
    const parsed = typeof value === 'string' ? parseAddress(value) : undefined;
    return parsed ?? new Refusal(`${shown(value)} is not an address`, addressHint(value, usualPort));
  }).meta({ kind: 'address', form: 'host:port' });
}

function addressHint(value: unknown, usualPort: number): string {
  const isPort = typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 65_536;
  if (isPort) return `host:port, such as 127.0.0.1:${value} or, for all, 0.0.0.0:${value}`;
  if (typeof value === 'string' && value.length <= 40 && isHost(value))
    return `host:port, such as ${value}:${usualPort}`;
  return `host:port, such as 0.0.0.0:${usualPort} or [::1]:${usualPort}`;
}

/** The base URL of a registry, as its origin. */
export function url(): Setting<string> {
  return setting(parseUrl).meta({ kind: 'url', form: 'URL' });
}

export function urls(): Setting<readonly string[]> {
  return listOf(parseUrl).meta({ kind: 'url', list: true, form: 'list of URLs' });
}

/** Hosts, as `host` or `host:port`. */
export function hosts(): Setting<readonly string[]> {
  return listOf((value) =>
    typeof value === 'string' && isHost(value)
      ? value.toLowerCase()
      : new Refusal(
          `${shown(value)} is not a host`,
          'a name or an address, with a port if it has one: cdn.example:8443',
        ),
  ).meta({ kind: 'host', list: true, form: 'list of hosts' });
}

function setting<T>(parse: Parse<T>): Setting<T> {
  return z.unknown().transform((value, context) => {
    const parsed = parse(value);
    if (!(parsed instanceof Refusal)) return parsed;
    context.addIssue({ code: 'custom', message: parsed.problem, params: { hint: parsed.hint } });
    return z.NEVER;
  });
}

function listOf<T>(parse: Parse<T>): Setting<readonly T[]> {
  return z.unknown().transform((value, context) => {
    if (!Array.isArray(value)) {
      context.addIssue({ code: 'custom', message: 'is not a list', params: { hint: 'write [one, two]' } });
      return z.NEVER;
    }
    const items: T[] = [];
    for (const [index, item] of value.entries()) {
      const parsed = parse(item);
      if (!(parsed instanceof Refusal)) items.push(parsed);
      else context.addIssue({ code: 'custom', path: [index], message: parsed.problem, params: { hint: parsed.hint } });
    }
    return items;
  });
}

function parseText(value: unknown): string | Refusal {
  if (typeof value === 'string' && value !== '') return value;
  if (typeof value === 'number') return new Refusal('is a number, not text', 'put it in quotes');
  return new Refusal(
    value === '' || value === null ? 'is empty' : 'is not text',
    'give it a value, or leave the key out',
  );
}

function parseUrl(value: unknown): string | Refusal {
  const hint = 'scheme, host and port only, such as https://registry.example:5000';
  // The text is not repeated: whoever writes a password into a URL must not find it in a log.
  const parsed = typeof value === 'string' ? URL.parse(value) : null;
  if (parsed === null) return new Refusal('is not a URL', hint);
  if (parsed.protocol !== 'https:' && parsed.protocol !== 'http:') {
    return new Refusal(`has the scheme ${parsed.protocol.slice(0, 20)} where only http and https work`, hint);
  }
  if (parsed.username !== '' || parsed.password !== '') {
    return new Refusal('has a user name or password in it', 'use credentials: { username: ..., passwordFile: ... }');
  }
  if (parsed.pathname !== '/' || parsed.search !== '' || parsed.hash !== '') {
    return new Refusal('has a path, a query or a fragment', hint);
  }
  return parsed.origin;
}

function withinBounds(
  amount: number,
  written: string,
  bounds: Bounds,
  parse: (text: string) => number | undefined,
): number | Refusal {
  if (bounds.min !== undefined && amount < (parse(bounds.min) ?? 0)) {
    return new Refusal(`${written} is too small`, `at least ${bounds.min}`);
  }
  if (bounds.max !== undefined && amount > (parse(bounds.max) ?? Number.POSITIVE_INFINITY)) {
    return new Refusal(`${written} is too large`, `at most ${bounds.max}`);
  }
  return amount;
}

function form(kind: string, bounds: Bounds): string {
  if (bounds.min === undefined && bounds.max === undefined) return kind;
  if (bounds.max === undefined) return `${kind}, at least ${bounds.min}`;
  return bounds.min === undefined ? `${kind}, at most ${bounds.max}` : `${kind}, ${bounds.min} to ${bounds.max}`;
}

/** The value for a sentence: short, on one line, and only what a person can have meant as this value. */
function shown(value: unknown): string {
  if (value === null || value === '') return 'nothing';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value);
  return Array.isArray(value) ? 'a list' : 'a section';
}
