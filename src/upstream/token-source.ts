import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { SharedCalls } from '../core/shared-calls.ts';
import type { Channels } from '../telemetry/channels.ts';
import type { Credentials } from './credentials.ts';
import { answeredError, readDocument } from './document.ts';
import type { Endpoint } from './endpoint.ts';
import type { Transport, TransportRequest, TransportResponse } from './transport.ts';
import { invalidError } from './upstream-errors.ts';

/** What a bearer challenge asks for, and on whose authority it is asked. */
export interface TokenNeed {
  readonly endpoint: Endpoint;
  readonly realm: URL;
  /** The configuration lists the realm. */
  readonly listed: boolean;
  readonly service: string | undefined;
  /** Scopes, separated by spaces. */
  readonly scope: string;
  readonly credentials: Credentials;
}

interface CachedToken {
  readonly token: string;
  readonly untilMs: number;
}

interface TokenDeps {
  readonly clock: Clock;
  readonly channels: Channels;
  readonly transport: Pick<Transport, 'send'>;
}

const maxTokens = 1000;
const maxTokenBytes = 256 * 1024;
/** What the distribution token specification says of an answer without `expires_in`. */
const defaultLifetimeS = 60;
const maxMarginMs = 15_000;

/**
 * Bearer tokens (distribution token authentication specification, OAuth2 for identity tokens). One request serves all
 * who need the same token at the time; nobody's leaving ends it, only its own bounds and `dispose`. A token is used
 * until shortly before it expires, counted by our own monotonic clock, so that clocks that differ do no harm.
 */
export class TokenSource implements Disposable {
  readonly #deps: TokenDeps;
  readonly #deadlineMs: number;
  readonly #tokens = new LRUCache<string, CachedToken>({ max: maxTokens });
  readonly #calls = new SharedCalls<string>();
  readonly #disposed = new AbortController();

  constructor(deps: TokenDeps, options: { headersTimeoutMs: number }) {
    this.#deps = deps;
    this.#deadlineMs = options.headersTimeoutMs;
    // Every token request listens to it.
    setMaxListeners(0, this.#disposed.signal);
  }

  /** A token for `need`: cached, or asked for. Rejects with an `AppError` where the token server gives none. */
  async token(need: TokenNeed, signal: AbortSignal): Promise<string> {
    const key = keyOf(need);
    const cached = this.#tokens.get(key);
    if (cached !== undefined && this.#deps.clock.monotonic() < cached.untilMs) return cached.token;
    if (this.#calls.has(key)) this.#deps.channels.coalesced.publish({ kind: 'token' });
    return this.#calls.run(key, () => this.#fetch(key, need), signal);
  }

  /** Forgets a token that was refused. One that has taken its place meanwhile stays. */
  drop(need: TokenNeed, token: string): void {
    const key = keyOf(need);
    if (this.#tokens.get(key)?.token === token) this.#tokens.delete(key);
  }

  [Symbol.dispose](): void {
    this.#disposed.abort(new AppError('SHUTTING_DOWN', 'the upstream is closed'));
    this.#tokens.clear();
  }

  async #fetch(key: string, need: TokenNeed): Promise<string> {
    const { clock, transport } = this.#deps;
    const askedMs = clock.monotonic();
    const response = await transport.send(tokenRequest(need), this.#disposed.signal);
    if (response.status !== 200) throw await answeredError(response, clock, this.#deadlineMs);
    const tooLarge = () => invalidError(response.context, 'answered a token request with too much');
    const limits = { clock, deadlineMs: this.#deadlineMs, maxBytes: maxTokenBytes, tooLarge };
    const { token, lifetimeMs } = readAnswer(await readDocument(response, limits), response, clock.now());
    const marginMs = Math.min(maxMarginMs, lifetimeMs / 4);
    this.#tokens.set(key, { token, untilMs: askedMs + lifetimeMs - marginMs });
    return token;
  }
}

function tokenRequest(need: TokenNeed): TransportRequest {
  const { endpoint, realm, listed, credentials } = need;
  const common = { kind: 'token', lane: 'control', endpoint, allowed: listed } as const;
  if (credentials.kind === 'identity-token') {
    const form = new URLSearchParams({ grant_type: 'refresh_token', client_id: 'onepull', scope: need.scope });
    if (need.service !== undefined) form.set('service', need.service);
    form.set('refresh_token', credentials.token);
    const headers = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' };
    return { ...common, method: 'POST', url: realm, headers, body: form.toString() };
  }
  const url = new URL(realm);
  if (need.service !== undefined) url.searchParams.set('service', need.service);
  for (const scope of need.scope.split(' ').filter((part) => part !== '')) url.searchParams.append('scope', scope);
  const authorization = credentials.kind === 'basic' ? { authorization: basicAuthorization(credentials) } : {};
  return { ...common, method: 'GET', url, headers: { accept: 'application/json', ...authorization } };
}

export function basicAuthorization(credentials: Credentials & { kind: 'basic' }): string {
  return `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`;
}

function readAnswer(
  body: Buffer,
  { headers, context }: TransportResponse,
  nowMs: number,
): { token: string; lifetimeMs: number } {
  let answer: Record<string, unknown> = {};
  try {
    const json: unknown = JSON.parse(body.toString('utf8'));
    if (typeof json === 'object' && json !== null) answer = json as Record<string, unknown>;
  } catch {
    // What it could not read may be a token: the parser's message is not passed on.
  }
  const token = [answer.token, answer.access_token].find((value) => typeof value === 'string' && value !== '');
  if (typeof token !== 'string' || /[^\x21-\x7e]/.test(token)) {
    throw invalidError(context, 'answered a token request without a usable token');
  }
  const expiresIn = Number(answer.expires_in);
  const lifetimeMs = (Number.isFinite(expiresIn) && expiresIn > 0 ? expiresIn : defaultLifetimeS) * 1000;
  const date = typeof headers.date === 'string' ? Date.parse(headers.date) : Number.NaN;
  // A token server may hand out a token that it made a while ago. An age that makes no sense is two clocks differing.
  const ageMs = (Number.isNaN(date) ? nowMs : date) - Date.parse(String(answer.issued_at));
  return { token, lifetimeMs: ageMs > 0 && ageMs < lifetimeMs ? lifetimeMs - ageMs : lifetimeMs };
}

function keyOf(need: TokenNeed): string {
  const identity = createHash('sha256').update(JSON.stringify(need.credentials)).digest('base64');
  return JSON.stringify([need.endpoint.url.href, need.realm.href, need.service, need.scope, identity]);
}
