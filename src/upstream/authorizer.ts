import { LRUCache } from 'lru-cache';
import { AppError } from '../core/errors.ts';
import type { RepositoryName } from '../core/repository-name.ts';
import { type Challenge, parseChallenges } from './challenge.ts';
import type { CredentialProvider, Credentials } from './credentials.ts';
import type { Endpoint } from './endpoint.ts';
import { decideRealm, isListedRealm } from './realm-rules.ts';
import { basicAuthorization, type TokenNeed, type TokenSource } from './token-source.ts';
import type { ResponseHeaders } from './upstream-errors.ts';

/** An Authorization header, and how to forget what it was made of. */
export interface Authorization {
  readonly header: string;
  refused(): void;
}

interface AuthorizerDeps {
  readonly credentials: CredentialProvider;
  readonly tokens: TokenSource;
}

const maxRemembered = 1000;

/**
 * Answers an upstream's challenges and remembers them per repository, so that later requests carry their token at
 * once. Decides nothing by itself on where credentials may go: that is in the realm rules.
 */
export class Authorizer {
  readonly #deps: AuthorizerDeps;
  readonly #options: { readonly name: string; readonly authRealms: readonly string[] };
  readonly #remembered = new LRUCache<string, Challenge>({ max: maxRemembered });

  constructor(deps: AuthorizerDeps, options: { name: string; authRealms: readonly string[] }) {
    this.#deps = deps;
    this.#options = options;
  }

  /** What the repository asked for before, if it did. */
  async remembered(
    endpoint: Endpoint,
    repository: RepositoryName,
    signal: AbortSignal,
  ): Promise<Authorization | undefined> {
    const challenge = this.#remembered.get(keyOf(endpoint, repository));
    return challenge === undefined ? undefined : this.#authorize(challenge, endpoint, repository, signal);
  }

  /** What answers the challenge of a 401; undefined where nothing we have does. */
  async answer(
    endpoint: Endpoint,
    repository: RepositoryName,
    headers: ResponseHeaders,
    signal: AbortSignal,
  ): Promise<Authorization | undefined> {
    const challenges = parseChallenges(headers['www-authenticate']);
    const challenge =
      challenges.find(({ scheme, params }) => scheme === 'bearer' && params.has('realm')) ??
      challenges.find(({ scheme }) => scheme === 'basic');
    if (challenge === undefined) return undefined;
    const authorization = await this.#authorize(challenge, endpoint, repository, signal);
    if (authorization !== undefined) this.#remembered.set(keyOf(endpoint, repository), challenge);
    return authorization;
  }

  async #authorize(
    challenge: Challenge,
    endpoint: Endpoint,
    repository: RepositoryName,
    signal: AbortSignal,
  ): Promise<Authorization | undefined> {
    const credentials = await this.#deps.credentials.credentials(signal);
    if (challenge.scheme === 'basic') {
      if (credentials.kind !== 'basic') return undefined;
      return { header: basicAuthorization(credentials), refused: () => {} };
    }
    const need = this.#need(challenge, endpoint, repository, credentials);
    const token = await this.#deps.tokens.token(need, signal);
    return { header: `Bearer ${token}`, refused: () => this.#deps.tokens.drop(need, token) };
  }

  #need(challenge: Challenge, endpoint: Endpoint, repository: RepositoryName, credentials: Credentials): TokenNeed {
    const { params } = challenge;
    const { name, authRealms } = this.#options;
    const realm = params.get('realm') ?? '';
    const decision = decideRealm(realm, endpoint.url, authRealms);
    if (decision.kind === 'invalid') {
      throw new AppError('UPSTREAM_INVALID', `upstream ${name} (${endpoint.name}): ${decision.reason}`);
    }
    const url = new URL(realm);
    if (decision.kind === 'anonymous-only' && credentials.kind !== 'anonymous') {
      const advice = 'if that is meant, list the host in the setting authRealms of this upstream';
      const message = `upstream ${name} (${endpoint.name}) wants tokens from ${url.protocol}//${url.host}, and credentials are not sent there because ${decision.reason}; ${advice}`;
      throw new AppError('UPSTREAM_DENIED', message, { details: { upstream: name } });
    }
    const scope = params.get('scope') ?? '';
    return {
      endpoint,
      realm: url,
      listed: isListedRealm(url, authRealms),
      service: params.get('service'),
      scope: scope === '' ? `repository:${repository}:pull` : scope,
      credentials,
    };
  }
}

function keyOf(endpoint: Endpoint, repository: RepositoryName): string {
  return `${endpoint.url.href} ${repository}`;
}
