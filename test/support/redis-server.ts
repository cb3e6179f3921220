import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Child, run } from './child.ts';
import { freePort, loopback, type Place, TemporaryDirectory } from './loopback.ts';

export interface RedisServerOptions {
  /** Lines of its configuration: `maxmemory 1mb`. */
  readonly lines?: readonly string[];
  /** To start again where another one was. */
  readonly port?: number;
  /** Where it runs; here unless told. */
  readonly place?: Place;
  /** In PEM: it speaks TLS only. */
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string; readonly asksClients?: boolean };
  /** It is a Sentinel. */
  readonly isSentinel?: boolean;
}

/** Debian's `redis-server` as a child of its own, which keeps nothing on disk. */
export class RedisServer implements AsyncDisposable {
  readonly port: number;
  readonly #child: Child;
  readonly #folder: TemporaryDirectory;
  readonly #place: Place;

  private constructor(child: Child, folder: TemporaryDirectory, place: Place, port: number) {
    this.#child = child;
    this.#folder = folder;
    this.#place = place;
    this.port = port;
  }

  static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
    const folder = await TemporaryDirectory.make();
    const port = options.port ?? (await freePort());
    const file = join(folder.path, 'redis.conf');
    const { place = loopback, isSentinel = false } = options;
    const addresses = [...new Set([place.address, place.controlAddress])].join(' ');
    const usual = [
      `bind ${addresses}`,
      'protected-mode no',
      `dir ${folder.path}`,
      'daemonize no',
      ...(await portLines(options, port, folder)),
    ];
    const memoryOnly = isSentinel ? [] : ['save ""', 'appendonly no'];
    await writeFile(file, [...usual, ...memoryOnly, ...(options.lines ?? []), ''].join('\n'));
    const [command = '', ...args] = [...place.wrapper, 'redis-server', file, ...(isSentinel ? ['--sentinel'] : [])];
    const child = new Child(command, args, { env: { PATH: process.env.PATH } });
    const server = new RedisServer(child, folder, place, port);
    try {
      await server.said(/Ready to accept connections|Sentinel ID is/);
    } catch (cause) {
      await server[Symbol.asyncDispose]();
      throw new Error(`redis-server does not start:\n${child.tail}`, { cause });
    }
    return server;
  }

  get host(): string {
    return `${this.#place.address}:${this.port}`;
  }

  get url(): string {
    return `redis://${this.host}`;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** The first line of its log, past or to come, that looks so. */
  said(pattern: RegExp): Promise<string> {
    return this.#child.line((line) => pattern.test(line));
  }

  /** What `redis-cli` prints of a command's answer. Throws where that is an error. */
  async ask(...command: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await run('redis-cli', [
      '-e',
      '-h',
      this.#place.controlAddress,
      '-p',
      String(this.port),
      ...command,
    ]);
    if (code !== 0) throw new Error(`redis-cli ${command.join(' ')}: ${stdout}${stderr}`);
    return stdout;
  }

  /** SIGSTOP and SIGCONT: it hangs, its connections stay. */
  signal(signal: NodeJS.Signals): void {
    if (this.pid !== undefined && this.#child.isRunning) process.kill(this.pid, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.signal('SIGCONT');
    await this.#child[Symbol.asyncDispose]();
    await this.#folder[Symbol.asyncDispose]();
  }
}

async function portLines({ tls }: RedisServerOptions, port: number, { path }: TemporaryDirectory): Promise<string[]> {
  if (tls === undefined) return [`port ${port}`];
  const { ca, cert, key, asksClients = false } = tls;
  for (const [name, text] of Object.entries({ ca, cert, key })) await writeFile(join(path, `${name}.pem`), text);
  return [
    'port 0',
    `tls-port ${port}`,
    ...['ca-cert', 'cert', 'key'].map((what) => `tls-${what}-file ${join(path, `${what.replace('-cert', '')}.pem`)}`),
    `tls-auth-clients ${asksClients ? 'yes' : 'no'}`,
  ];
}
