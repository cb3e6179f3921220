import { run } from './child.ts';
import { freePort } from './loopback.ts';
import { RedisServer } from './redis-server.ts';

export interface RedisClusterOptions {
  /** For each of the three primaries; 0 unless told. */
  readonly replicas?: number;
  readonly lines?: readonly string[];
}

/** A Redis Cluster of three primaries, made as an operator makes it. */
export class RedisClusterServers implements AsyncDisposable {
  readonly servers: readonly RedisServer[];

  private constructor(servers: readonly RedisServer[]) {
    this.servers = servers;
  }

  static async start({ replicas = 0, lines = [] }: RedisClusterOptions = {}): Promise<RedisClusterServers> {
    await using opened = new AsyncDisposableStack();
    const servers: RedisServer[] = [];
    for (let index = 0; index < 3 * (1 + replicas); index++) {
      const own = ['cluster-enabled yes', `cluster-port ${await freePort()}`, 'repl-diskless-sync-delay 0', ...lines];
      servers.push(opened.use(await RedisServer.start({ lines: own })));
    }
    const hosts = servers.map(({ host }) => host);
    const flags = ['--cluster-replicas', String(replicas), '--cluster-yes'];
    const { code, stdout, stderr } = await run('redis-cli', ['--cluster', 'create', ...hosts, ...flags]);
    if (code !== 0) throw new Error(`redis-cli --cluster create: ${stdout}\n${stderr}`);
    // Those that it joined have told each other, but each finds that out for itself.
    for (const server of servers) await server.said(/Cluster state changed: ok/);
    opened.move();
    return new RedisClusterServers(servers);
  }

  get url(): string {
    return `redis+cluster://${this.servers.map(({ host }) => host).join(',')}`;
  }

  /** The primary that has keys with this hash tag. */
  async primaryOf(tag: string): Promise<RedisServer> {
    const [any] = this.servers;
    const slot = Number(await any?.ask('cluster', 'keyslot', tag));
    for (const line of ((await any?.ask('cluster', 'nodes')) ?? '').split('\n')) {
      const [, address = '', flags = '', , , , , , ...ranges] = line.split(' ');
      const has = ranges.some((range) => {
        const [first = '', last = first] = range.split('-');
        return Number(first) <= slot && slot <= Number(last);
      });
      const found = this.servers.find(({ host }) => address.startsWith(`${host}@`));
      if (has && flags.includes('master') && found !== undefined) return found;
    }
    throw new Error(`nobody has the slot ${slot}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.servers) await server[Symbol.asyncDispose]();
  }
}
