import { freePort } from './loopback.ts';
import { RedisServer } from './redis-server.ts';

/** A primary, its replica, and a Sentinel that knows both, under the name `onepull`. */
export class SentinelSetup implements AsyncDisposable {
  readonly primary: RedisServer;
  readonly replica: RedisServer;
  readonly sentinel: RedisServer;

  private constructor(primary: RedisServer, replica: RedisServer, sentinel: RedisServer) {
    this.primary = primary;
    this.replica = replica;
    this.sentinel = sentinel;
  }

  /** `password`: the servers' and, if `sentinelPassword` is there, the Sentinel's own. */
  static async start({ password = '', sentinelPassword = '' } = {}): Promise<SentinelSetup> {
    await using opened = new AsyncDisposableStack();
    const secured = password === '' ? [] : [`requirepass "${password}"`, `masterauth "${password}"`];
    const lines = [...secured, 'repl-diskless-sync-delay 0'];
    const primary = opened.use(await RedisServer.start({ lines }));
    const replica = opened.use(
      await RedisServer.start({ lines: [...lines, `replicaof ${primary.host.replace(':', ' ')}`] }),
    );
    await replica.said(/MASTER <-> REPLICA sync: Finished with success/);
    const sentinel = opened.use(
      await RedisServer.start({
        isSentinel: true,
        lines: [
          `sentinel monitor onepull 127.0.0.1 ${primary.port} 1`,
          // Nobody is promoted before the test wants it.
          'sentinel down-after-milliseconds onepull 3600000',
          'sentinel failover-timeout onepull 5000',
          ...(password === '' ? [] : [`sentinel auth-pass onepull "${password}"`]),
          ...(sentinelPassword === '' ? [] : [`requirepass "${sentinelPassword}"`]),
        ],
      }),
    );
    await sentinel.said(/\+slave slave 127\.0\.0\.1/);
    opened.move();
    return new SentinelSetup(primary, replica, sentinel);
  }

  /** As an operator gives it: several Sentinels, of which the first is not there. */
  async url(): Promise<string> {
    return `redis+sentinel://127.0.0.1:${await freePort()},${this.sentinel.host}/onepull`;
  }

  /** The Sentinel finds the primary dead and promotes the replica. */
  async failOver(): Promise<void> {
    await this.sentinel.ask('sentinel', 'set', 'onepull', 'down-after-milliseconds', '300');
    await this.sentinel.said(/\+switch-master onepull/);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of [this.sentinel, this.replica, this.primary]) await server[Symbol.asyncDispose]();
  }
}
