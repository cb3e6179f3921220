import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { type Answer, errorAnswer, jsonAnswer } from './answer.ts';
import type { Route } from './route.ts';

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

export type RegistryAuth =
  | { readonly kind: 'none' }
  | ({ readonly kind: 'basic' } & Credentials)
  | {
      /** Distribution's token protocol: a challenge that names a realm, a token from there, which the registry takes. */
      readonly kind: 'token';
      /** What the realm wants to see; without it, everybody gets a token. */
      readonly credentials?: Credentials;
      /** Unless told, `/token` of the registry itself. */
      readonly realm?: string;
      readonly lifetimeSeconds?: number;
    };

const service = 'demo-registry';

/** Decides who may read. Tokens are random, for one repository, and die with their lifetime or by `revokeAll`. */
export class Gatekeeper {
  readonly #auth: RegistryAuth;
  readonly #now: () => number;
  readonly #tokens = new Map<string, { scope: string; expiresAt: number }>();

  constructor(auth: RegistryAuth, now: () => number) {
    this.#auth = auth;
    this.#now = now;
  }

  /** The refusal that `request` has to be given, or undefined where it may pass. */
  refuse(request: IncomingMessage, route: Route): Answer | undefined {
    const auth = this.#auth;
    const authorization = request.headers.authorization ?? '';
    if (auth.kind === 'none' || route.kind === 'token') return undefined;
    if (auth.kind === 'basic') {
      if (isBasic(authorization, auth)) return undefined;
      return errorAnswer(401, 'UNAUTHORIZED', { 'www-authenticate': 'Basic realm="demo"' });
    }
    const scope = route.repository === '' ? '' : `repository:${route.repository}:pull`;
    const token = this.#tokens.get(authorization.replace(/^Bearer /i, ''));
    const isAlive = token !== undefined && token.expiresAt > this.#now();
    if (isAlive && (scope === '' || token.scope.split(' ').includes(scope))) return undefined;
    const realm = auth.realm ?? `http://${request.headers.host}/token`;
    const asked = scope === '' ? '' : `,scope="${scope}"`;
    const known = isAlive ? 'insufficient_scope' : 'invalid_token'; // RFC 6750 section 3.1
    const reason = authorization === '' ? '' : `,error="${known}"`;
    const challenge = `Bearer realm="${realm}",service="${service}"${asked}${reason}`;
    return errorAnswer(401, 'UNAUTHORIZED', { 'www-authenticate': challenge });
  }

  /** The answer of the token endpoint. */
  grant(request: IncomingMessage, route: Route): Answer {
    const auth = this.#auth;
    if (auth.kind !== 'token') return errorAnswer(404, 'UNSUPPORTED');
    if (auth.credentials !== undefined && !isBasic(request.headers.authorization ?? '', auth.credentials)) {
      return errorAnswer(401, 'UNAUTHORIZED', { 'www-authenticate': 'Basic realm="demo"' });
    }
    const lifetimeSeconds = auth.lifetimeSeconds ?? 300;
    const token = randomBytes(24).toString('base64url');
    const scope = route.query.getAll('scope').join(' ');
    const now = this.#now();
    this.#tokens.set(token, { scope, expiresAt: now + lifetimeSeconds * 1000 });
    const issued = new Date(now).toISOString();
    return jsonAnswer(200, { token, access_token: token, expires_in: lifetimeSeconds, issued_at: issued });
  }

  /** Every token given so far is refused from now on. */
  revokeAll(): void {
    this.#tokens.clear();
  }
}

function isBasic(authorization: string, { username, password }: Credentials): boolean {
  return authorization === `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
