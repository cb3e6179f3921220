import { mkdir, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { join } from 'node:path';
import type { Credentials } from '../../src/cli/demo/gatekeeper.ts';
import type { Artifact, Image, ImageIndex } from '../../src/cli/demo/image.ts';
import { Child, run } from './child.ts';
import { freePort, loopback, type Place, TemporaryDirectory, untilUp } from './loopback.ts';
import { push } from './push.ts';
import type { TokenServer } from './token-server.ts';

export interface DockerRegistryOptions {
  readonly auth?: { readonly kind: 'basic' } & Credentials;
  /** Its token realm; what is pushed is pushed with `pushAs`. */
  readonly tokens?: TokenServer;
  /** Who pushes, where the registry asks. Unless told, those of `auth`. */
  readonly pushAs?: Credentials;
  /** Distribution's own pull-through cache, in front of this URL. It refuses pushes. */
  readonly proxyOf?: { readonly url: string } & Partial<Credentials>;
  /** Without a line for each request. */
  readonly quiet?: boolean;
  /** Where it runs; here unless told. */
  readonly place?: Place;
}

/** Debian's `docker-registry` (Distribution) as a child of its own, with storage of its own. */
export class DockerRegistry implements AsyncDisposable {
  readonly #child: Child;
  readonly #folder: TemporaryDirectory;
  readonly #pushAs: Credentials | undefined;
  /** `127.0.0.1:<port>` */
  readonly host: string;
  /** How this process reaches it. */
  readonly #controlUrl: string;

  private constructor(child: Child, folder: TemporaryDirectory, port: number, options: DockerRegistryOptions) {
    const { place = loopback, pushAs, auth } = options;
    this.#child = child;
    this.#folder = folder;
    this.#pushAs = pushAs ?? auth;
    this.host = `${place.address}:${port}`;
    this.#controlUrl = `http://${place.controlAddress}:${port}`;
  }

  static async start(options: DockerRegistryOptions = {}): Promise<DockerRegistry> {
    const folder = await TemporaryDirectory.make();
    const { place = loopback } = options;
    const port = await freePort();
    const address = place === loopback ? `${place.address}:${port}` : `:${port}`;
    const config = join(folder.path, 'config.yml');
    await writeFile(config, JSON.stringify(await configuration(folder.path, address, options))); // JSON is YAML
    const [command = '', ...args] = [...place.wrapper, 'docker-registry', 'serve', config];
    const child = new Child(command, args, { env: { PATH: process.env.PATH } });
    const registry = new DockerRegistry(child, folder, port, options);
    try {
      await untilUp(() => registry.#answers(), 'docker-registry');
    } catch (cause) {
      await registry[Symbol.asyncDispose]();
      throw new Error(`docker-registry does not answer:\n${child.tail}`, { cause });
    }
    return registry;
  }

  /** `http://127.0.0.1:<port>` */
  get url(): string {
    return `http://${this.host}`;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Its lines of log, requests included. */
  get log(): readonly string[] {
    return [...this.#child.stdout, ...this.#child.stderr];
  }

  push(repository: string, tag: string, what: Image | ImageIndex | Artifact): Promise<void> {
    return push(this.#controlUrl, repository, tag, what, this.#pushAs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]();
    await this.#folder[Symbol.asyncDispose]();
  }

  #answers(): Promise<boolean> {
    if (!this.#child.isRunning) throw new Error('ended');
    return new Promise((resolve) => {
      get(`${this.#controlUrl}/v2/`, { agent: false }, (response) => {
        response.resume().once('close', () => resolve(true));
      }).once('error', () => resolve(false));
    });
  }
}

async function configuration(folder: string, host: string, options: DockerRegistryOptions): Promise<unknown> {
  const { auth, tokens, proxyOf, quiet = false } = options;
  const rootdirectory = join(folder, 'storage');
  await mkdir(rootdirectory);
  return {
    version: 0.1,
    log: { accesslog: { disabled: quiet }, level: quiet ? 'error' : 'info' },
    storage: { filesystem: { rootdirectory }, cache: { blobdescriptor: 'inmemory' }, delete: { enabled: true } },
    http: { addr: host, secret: 'for-tests-only' },
    ...(auth && { auth: { htpasswd: { realm: 'test', path: await passwordFile(folder, auth) } } }),
    ...(tokens && { auth: { token: tokenSection(tokens) } }),
    ...(proxyOf && { proxy: { remoteurl: proxyOf.url, username: proxyOf.username, password: proxyOf.password } }),
  };
}

function tokenSection({ realm, service, issuer, certificateFile }: TokenServer): unknown {
  return { realm, service, issuer, rootcertbundle: certificateFile };
}

async function passwordFile(folder: string, { username, password }: Credentials): Promise<string> {
  const path = join(folder, 'htpasswd');
  const { code, stdout, stderr } = await run('htpasswd', ['-Bbn', username, password]);
  if (code !== 0) throw new Error(`htpasswd: ${stderr}`);
  await writeFile(path, stdout);
  return path;
}
