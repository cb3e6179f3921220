import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RedisEngine, redisEngineDefaults } from '../../src/cluster/redis/redis-engine.ts';
import type { Script } from '../../src/cluster/redis/scripts.ts';
import { systemClock } from '../../src/core/clock.ts';
import { engineAddress } from '../../src/core/engine-address.ts';
import { VirtualClock } from '../../src/core/testing/virtual-clock.ts';
import { Channels, type NoticeEvent } from '../../src/telemetry/channels.ts';
import { freePort } from '../support/loopback.ts';
import { needs } from '../support/need.ts';
import { RedisServer, type RedisServerOptions } from '../support/redis-server.ts';

const skip = needs('redis-server');
const echo: Script = { name: 'echo', lua: 'return ARGV[1]' };
const store: Script = { name: 'store', lua: "return redis.call('SET', KEYS[1], ARGV[1])" };

class Setup implements AsyncDisposable {
  readonly engine: RedisEngine;
  readonly notices: NoticeEvent[] = [];
  readonly #opened = new AsyncDisposableStack();

  constructor(url: string, more: { username?: string; password?: string; clock?: VirtualClock } = {}) {
    const address = engineAddress(url);
    assert.ok(typeof address !== 'string', String(address));
    const channels = new Channels();
    channels.notice.subscribe((notice) => this.notices.push(notice));
    const { clock = systemClock, ...credentials } = more;
    const options = { ...redisEngineDefaults, timeoutMs: 2000, restMs: 0, address, ...credentials };
    this.engine = this.#opened.use(new RedisEngine({ clock, channels }, options));
  }

  echo(text: string): Promise<unknown> {
    return this.engine.run(echo, [], [text]);
  }

  /** Asks until it answers. */
  async untilUp(): Promise<void> {
    for (;;) {
      try {
        await this.echo('up?');
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  }

  get events(): unknown[] {
    return this.notices.map(({ fields }) => fields?.event);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#opened.disposeAsync();
  }
}

async function withServer(options: RedisServerOptions, body: (server: RedisServer) => Promise<void>): Promise<void> {
  await using server = await RedisServer.start(options);
  await body(server);
}

test('a script runs, known to the engine or not', { skip }, () =>
  withServer({}, async (server) => {
    await using setup = new Setup(server.url);
    assert.equal(await setup.echo('first'), 'first');
    assert.equal(await setup.echo('again'), 'again');
    assert.deepEqual([setup.engine.health.isUp, setup.events], [true, []]);
  }),
);

test('where nobody listens a call is rejected, and is told once', { skip }, async () => {
  await using setup = new Setup(`redis://127.0.0.1:${await freePort()}`);
  const startedAt = performance.now();
  for (let call = 0; call < 50; call++) await assert.rejects(setup.echo('x'), { code: 'CLUSTER_UNAVAILABLE' });
  // The first one waits for the connection, no other does.
  assert.ok(performance.now() - startedAt < 2 * 2000);
  assert.deepEqual(setup.events, ['cluster-down']);
  assert.match(JSON.stringify(setup.engine.health), /"isUp":false.*no answer|no connection/);
});

test(
  'an engine that hangs costs one call its patience; the others are rejected at once until it is asked again',
  { skip },
  () =>
    withServer({}, async (server) => {
      const clock = new VirtualClock();
      await using setup = new Setup(server.url, { clock });
      assert.equal(await setup.echo('x'), 'x');
      server.signal('SIGSTOP');
      const hanging = Array.from({ length: 3 }, () => setup.echo('y').catch((error: unknown) => error));
      clock.advance(2000);
      for (const error of await Promise.all(hanging)) assert.match(String(error), /no answer within 2000 ms/);
      const trial = setup.echo('trial').catch((error: unknown) => error);
      await assert.rejects(setup.echo('beside it'), { code: 'CLUSTER_UNAVAILABLE' });
      clock.advance(2000);
      assert.match(String(await trial), /no answer/);
      server.signal('SIGCONT');
      await setup.untilUp();
      assert.deepEqual(setup.events, ['cluster-down', 'cluster-up']);
      assert.equal(clock.pending, 0);
    }),
);

test('an engine that starts late, or again and empty, is used from then on', { skip }, async () => {
  const port = await freePort();
  await using setup = new Setup(`redis://127.0.0.1:${port}`);
  await assert.rejects(setup.echo('x'), { code: 'CLUSTER_UNAVAILABLE' });
  for (let run = 0; run < 2; run++) {
    await withServer({ port }, () => setup.untilUp());
    await assert.rejects(setup.echo('x'), { code: 'CLUSTER_UNAVAILABLE' });
  }
  assert.deepEqual(setup.events, ['cluster-down', 'cluster-up', 'cluster-down', 'cluster-up', 'cluster-down']);
});

test('an engine that is full is as good as none', { skip }, () =>
  withServer({ lines: ['maxmemory 100kb', 'maxmemory-policy noeviction'] }, async (server) => {
    await using setup = new Setup(server.url);
    await assert.rejects(setup.engine.run(store, ['key'], ['x'.repeat(100)]), /OOM|memory/);
    assert.equal(setup.engine.health.isUp, false);
  }),
);

test('a user of its own signs in, by the URL or by settings; a wrong password is told, without it', { skip }, () =>
  withServer({ lines: ['user default off', 'user onepull on >right ~* +@all'] }, async (server) => {
    const host = `127.0.0.1:${server.port}`;
    await using byUrl = new Setup(`redis://onepull:right@${host}`);
    assert.equal(await byUrl.echo('x'), 'x');
    await using bySettings = new Setup(server.url, { username: 'onepull', password: 'right' });
    assert.equal(await bySettings.echo('x'), 'x');
    await using wrong = new Setup(`redis://onepull:mistaken@${host}`);
    await assert.rejects(wrong.echo('x'), { code: 'CLUSTER_UNAVAILABLE' });
    assert.doesNotMatch(JSON.stringify([wrong.notices, wrong.engine.health]), /mistaken/);
  }),
);
