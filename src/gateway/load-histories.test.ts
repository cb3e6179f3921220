import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { it } from 'node:test';
import { setImmediate as nextTick } from 'node:timers/promises';
import { AppError } from '../core/errors.ts';
import { Random } from '../flights/testing/random.ts';
import { ask, RawClient } from './testing/test-client.ts';
import type { TestContent } from './testing/test-content.ts';
import { TestGateway } from './testing/test-gateway.ts';

/**
 * Random histories of clients that pipeline, take nothing, send nonsense, and leave at any moment, at a gateway that has
 * room for few answers: when all are gone it counts none of them any more. One count too many per fault would shut the
 * gateway after a week.
 *
 *   HISTORIES=2000 SEED=1 node --test src/gateway/load-histories.test.ts
 */
const histories = Number(process.env.HISTORIES ?? 25);
const firstSeed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const stepsPerHistory = 40;

class History {
  readonly #random: Random;
  readonly #gateway: TestGateway;
  readonly #contents: TestContent[];
  #clients: RawClient[] = [];

  constructor(seed: number, gateway: TestGateway) {
    this.#random = new Random(seed);
    this.#gateway = gateway;
    const sizes = [0, 10, 5000, 400_000];
    this.#contents = sizes.map((size, n) => {
      const sizeKnown = this.#random.chance(0.7);
      const content = gateway.content(Buffer.alloc(size, n), { filled: this.#random.below(size + 1), sizeKnown });
      content.isPassing = this.#random.chance(0.3);
      return content;
    });
  }

  async play(): Promise<void> {
    for (let step = 0; step < stepsPerHistory; step++) {
      this.#step();
      for (let turn = this.#random.below(4); turn > 0; turn--) await nextTick();
    }
    for (const { socket } of this.#clients) socket.destroy();
    const isCalm = () => {
      const { responses, queuedBytes } = this.#gateway.server.load();
      return responses === 0 && queuedBytes === 0 && this.#gateway.connections === 0;
    };
    // A read that was under way when its client left is counted until the disk is done with it.
    for (let turn = 0; turn < 1_000_000 && !isCalm(); turn++) await nextTick();
    assert.deepEqual(this.#gateway.server.load(), { responses: 0, queuedBytes: 0 }, 'counted for nobody');
    assert.equal(this.#gateway.connections, 0);
    assert.equal((await ask(this.#gateway.port, '/v2/a/tags/list')).status, 200, 'and it does what it is asked');
  }

  #step(): void {
    const random = this.#random;
    const chance = random.next();
    const client = random.pick(this.#clients);
    if (chance < 0.25 || client === undefined) this.#clients.push(new RawClient(this.#gateway.port));
    else if (chance < 0.65) client.send(this.#requests());
    else if (chance < 0.7) client.socket.pause();
    else if (chance < 0.75) client.socket.resume();
    else if (chance < 0.83) client.socket.destroy();
    else if (chance < 0.87) reset(client.socket);
    else if (chance < 0.9) client.socket.end();
    else if (chance < 0.92) this.#gateway.clock.advance(random.pick([1000, 30_000, 70_000]) ?? 0);
    else if (chance < 0.94) random.pick(this.#contents)?.fail(new AppError('UPSTREAM_FAILED', 'no more of it'));
    else if (chance < 0.97) random.pick(this.#contents)?.finish();
    this.#clients = this.#clients.filter(({ socket }) => !socket.destroyed);
  }

  #requests(): string {
    return Array.from({ length: 1 + this.#random.below(4) }, () => this.#request()).join('');
  }

  #request(): string {
    const random = this.#random;
    const blob = `/v2/a/blobs/${random.pick(this.#contents)?.digest}`;
    const method = random.pick(['GET', 'GET', 'GET', 'HEAD', 'POST']) ?? '';
    const path = random.pick([blob, blob, blob, '/v2/', '/v2/a/tags/list', '/v2/a/manifests/none', '/nowhere']);
    const version = random.chance(0.9) ? '1.1' : '1.0';
    const extra = random.pick([
      '',
      '',
      '',
      'Range: bytes=3-\r\n',
      'Connection: close\r\n',
      'Content-Length: 5\r\n\r\nab',
    ]);
    if (random.chance(0.04)) return 'NONSENSE\r\n\r\n';
    const request = `${method} ${path} HTTP/${version}\r\nHost: a\r\n${extra}\r\n`;
    return random.chance(0.05) ? request.slice(0, random.below(request.length)) : request;
  }
}

/** Node never closes a socket that is reset after its end was sent. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

it(`nothing is counted for clients that are gone, in ${histories} random histories from seed ${firstSeed}`, async () => {
  for (let n = 0; n < histories; n++) {
    const seed = (firstSeed + n) % 2 ** 31;
    const play = async () => {
      await using gateway = await TestGateway.start({ maxResponses: 3, maxQueuedBytes: 600_000, maxConnections: 8 });
      await new History(seed, gateway).play();
    };
    await play().catch((error) => {
      throw new Error(`history of SEED=${seed} HISTORIES=1`, { cause: error });
    });
  }
});
