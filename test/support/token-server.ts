import { createPrivateKey, type KeyObject, randomUUID, sign } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { Credentials } from '../../src/cli/demo/gatekeeper.ts';
import { LoopbackServer } from '../../src/cli/demo/loopback-server.ts';
import { run } from './child.ts';
import { TemporaryDirectory } from './loopback.ts';

export interface TokenServerOptions {
  /** What the realm wants to see for a token; without it everybody may pull, and nobody may push. */
  readonly credentials?: Credentials;
  readonly lifetimeSeconds?: number;
}

interface Access {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

/** A token realm for a real registry: signs what its `auth.token` section verifies (ES256 JWT, key by `x5c`). */
export class TokenServer implements AsyncDisposable {
  readonly service = 'docker-registry-test';
  readonly issuer = 'onepull-test-realm';
  readonly #options: TokenServerOptions;
  readonly #server: LoopbackServer;
  readonly #folder: TemporaryDirectory;
  readonly #key: KeyObject;
  readonly #certificate: string;
  #granted = 0;

  private constructor(folder: TemporaryDirectory, key: KeyObject, certificate: string, options: TokenServerOptions) {
    this.#folder = folder;
    this.#key = key;
    this.#certificate = certificate;
    this.#options = options;
    this.#server = new LoopbackServer((request, response) => this.#respond(request, response));
  }

  static async start(options: TokenServerOptions = {}): Promise<TokenServer> {
    const folder = await TemporaryDirectory.make();
    const [keyFile, certificateFile] = [join(folder.path, 'key.pem'), join(folder.path, 'root.pem')];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=test-realm'];
    const files = ['-keyout', keyFile, '-out', certificateFile];
    const made = await run('openssl', ['req', '-x509', '-days', '2', ...curve, ...files]);
    if (made.code !== 0) throw new Error(`openssl: ${made.stderr}`);
    const key = createPrivateKey(await readFile(keyFile));
    const server = new TokenServer(folder, key, await readFile(certificateFile, 'utf8'), options);
    await server.#server.open();
    return server;
  }

  get realm(): string {
    return `http://${this.#server.host}/token`;
  }

  /** For the registry's `rootcertbundle`. */
  get certificateFile(): string {
    return join(this.#folder.path, 'root.pem');
  }

  /** How many tokens were given so far. */
  get granted(): number {
    return this.#granted;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
    await this.#folder[Symbol.asyncDispose]();
  }

  #respond(request: IncomingMessage, response: ServerResponse): void {
    request.resume();
    const { credentials, lifetimeSeconds = 300 } = this.#options;
    const { username, password } = credentials ?? { username: '', password: '' };
    const isKnown =
      request.headers.authorization === `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
    if (credentials !== undefined && !isKnown) {
      response
        .writeHead(401, { 'content-type': 'application/json' })
        .end('{"details":"incorrect username or password"}');
      return;
    }
    const scopes = new URL(request.url ?? '/', this.realm).searchParams
      .getAll('scope')
      .flatMap((all) => all.split(' '));
    const access = scopes.flatMap((scope) => accessOf(scope, isKnown));
    this.#granted++;
    const token = this.#sign(username, access, lifetimeSeconds);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ token, expires_in: lifetimeSeconds }));
  }

  #sign(subject: string, access: readonly Access[], lifetimeSeconds: number): string {
    const now = Math.floor(Date.now() / 1000);
    const x5c = [this.#certificate.replaceAll(/-----[A-Z ]+-----|\s/g, '')];
    const times = { iat: now, nbf: now - 10, exp: now + lifetimeSeconds };
    const claims = { iss: this.issuer, sub: subject, aud: this.service, jti: randomUUID(), ...times, access };
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const signed = `${part({ typ: 'JWT', alg: 'ES256', x5c })}.${part(claims)}`;
    const signature = sign('sha256', Buffer.from(signed), { key: this.#key, dsaEncoding: 'ieee-p1363' });
    return `${signed}.${signature.toString('base64url')}`;
  }
}

/** `repository:<name>:<action>,<action>`, of which nobody unknown gets more than `pull`. */
function accessOf(scope: string, mayPush: boolean): Access[] {
  const [, type = '', name = '', actions = ''] = /^(\w+):(.+):([\w,*]+)$/.exec(scope) ?? [];
  if (type === '') return [];
  return [{ type, name, actions: actions.split(',').filter((action) => mayPush || action === 'pull') }];
}
