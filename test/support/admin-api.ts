import assert from 'node:assert/strict';
import { get, type IncomingMessage, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { FlightSnapshot } from '../../src/flights/flight-snapshot.ts';
import type { PullSnapshot } from '../../src/pull/pull-board.ts';
import { readAll } from './registry-session.ts';

const deadlineMs = 30_000;

/** The admin listener of an onepull, as an operator reads it. */
export class AdminApi {
  readonly #origin: string;

  /** `origin` as `http://host:port`. */
  constructor(origin: string) {
    this.#origin = origin;
  }

  /** `host:port` */
  get host(): string {
    return new URL(this.#origin).host;
  }

  async get(path: string): Promise<{ status: number; text: string }> {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      get(`${this.#origin}${path}`, { agent: false }, resolve).once('error', reject);
    });
    return { status: response.statusCode ?? 0, text: (await readAll(response)).toString() };
  }

  /** A call that changes something, and what came of it. */
  async change(
    method: 'POST' | 'PUT' | 'DELETE',
    path: string,
    body?: unknown,
  ): Promise<{ status: number; json: unknown }> {
    const headers = { 'content-type': 'application/json' };
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const call = request(`${this.#origin}${path}`, { method, headers, agent: false }, resolve);
      call.once('error', reject).end(body === undefined ? undefined : JSON.stringify(body));
    });
    return { status: response.statusCode ?? 0, json: JSON.parse((await readAll(response)).toString()) as unknown };
  }

  /** The body of a 200; throws for every other status. */
  async text(path: string): Promise<string> {
    const { status, text } = await this.get(path);
    if (status !== 200) throw new Error(`${path} is answered with ${status}: ${text}`);
    return text;
  }

  async json(path: string): Promise<unknown> {
    return JSON.parse(await this.text(path));
  }

  async flights(): Promise<readonly FlightSnapshot[]> {
    return ((await this.json('/api/v1/flights')) as { flights: FlightSnapshot[] }).flights;
  }

  async pulls(): Promise<readonly PullSnapshot[]> {
    return ((await this.json('/api/v1/pulls')) as { pulls: PullSnapshot[] }).pulls;
  }

  /** The sum of a metric's samples that have these labels; 0 where there are none. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
    return (await this.text('/metrics'))
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      .filter((line) => wanted.every((label) => line.includes(label)))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  /**
   * Throws unless `ask` comes to what `isRight` accepts. For figures that follow an event a moment later and tell nobody:
   * a response is counted once its connection knows that it is over.
   */
  async until<T>(ask: (admin: AdminApi) => Promise<T>, isRight: (value: T) => boolean): Promise<T> {
    const giveUpAt = performance.now() + deadlineMs;
    for (let pauseMs = 1; ; pauseMs = Math.min(100, pauseMs * 2)) {
      const value = await ask(this);
      if (isRight(value)) return value;
      if (performance.now() > giveUpAt) assert.fail(`it stays at ${JSON.stringify(value)}`);
      await delay(pauseMs);
    }
  }

  /** Waits until no pull is in progress and no response reads of one: what is left for good is an error. */
  async assertIdle(): Promise<void> {
    const isOver = ({ state }: FlightSnapshot) => state === 'done' || state === 'failed';
    await this.until(
      async () => (await this.flights()).filter((flight) => !isOver(flight)),
      (open) => open.length === 0,
    );
    await this.until(
      async () => (await this.pulls()).flatMap(({ image, clients }) => clients.map((client) => `${client}: ${image}`)),
      (reading) => reading.length === 0,
    );
  }
}
