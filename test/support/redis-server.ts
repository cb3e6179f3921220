import { writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { Child } from './child.ts';
import { freePort, loopback, type Place, TemporaryDirectory, untilUp } from './loopback.ts';

export interface RedisServerOptions {
  /** Lines of its configuration: `maxmemory 1mb`. */
  readonly lines?: readonly string[];
  /** To start again where another one was. */
  readonly port?: number;
  /** Where it runs; here unless told. */
  readonly place?: Place;
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
    const { place = loopback } = options;
    const addresses = [...new Set([place.address, place.controlAddress])].join(' ');
    const usual = [
      `bind ${addresses}`,
      'protected-mode no',
      `port ${port}`,
      `dir ${folder.path}`,
      'save ""',
      'appendonly no',
      'daemonize no',
    ];
    await writeFile(file, [...usual, ...(options.lines ?? []), ''].join('\n'));
    const [command = '', ...args] = [...place.wrapper, 'redis-server', file];
    const child = new Child(command, args, { env: { PATH: process.env.PATH } });
    const server = new RedisServer(child, folder, place, port);
    try {
      await untilUp(() => server.#answers(), 'redis-server');
    } catch (cause) {
      await server[Symbol.asyncDispose]();
      throw new Error(`redis-server does not answer:\n${child.tail}`, { cause });
    }
    return server;
  }

  get url(): string {
    return `redis://${this.#place.address}:${this.port}`;
  }

  get pid(): number | undefined {
    return this.#child.pid;
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

  #answers(): Promise<boolean> {
    if (!this.#child.isRunning) throw new Error('ended');
    return new Promise((resolve) => {
      const socket = createConnection({ port: this.port, host: this.#place.controlAddress }, () =>
        socket.write('PING\r\n'),
      );
      socket.once('data', (data) => {
        socket.destroy();
        resolve(/^(\+PONG|-NOAUTH)/.test(data.toString()));
      });
      socket.once('error', () => resolve(false));
    });
  }
}
