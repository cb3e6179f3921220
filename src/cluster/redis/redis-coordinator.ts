import { randomBytes } from 'node:crypto';
import { type Digest, digestOf, hexOf } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import type {
  Claim,
  Coordinator,
  CoordinatorOptions,
  Member,
  NodeFacts,
  NodeId,
  NodeLoad,
  SharedPause,
  Standing,
  Visit,
} from '../coordinator.ts';
import { parseMember, parsePause } from './records.ts';
import {
  announceScript,
  beatScript,
  claimScript,
  keepScript,
  leaveScript,
  pauseScript,
  type Script,
  settleScript,
  visitScript,
} from './scripts.ts';

/** The way to an engine that runs scripts: Redis or Valkey. */
export interface ScriptEngine extends AsyncDisposable {
  /** Rejects with CLUSTER_UNAVAILABLE, within the adapter's bound. */
  run(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown>;
}

export interface RedisCoordinatorOptions extends CoordinatorOptions {
  /** What all keys begin with. */
  readonly prefix: string;
}

/**
 * A coordinator in Redis or Valkey.
 *
 *     <prefix>:{nodes}:members    hash: id -> facts, load, when
 *     <prefix>:{nodes}:pauses     hash: upstream, endpoint, what -> the rest and its end
 *     <prefix>:{<digest>}:lease   the token, which begins with the leader's id; expires
 *     <prefix>:{<digest>}:holders hash: id -> how much of it the node has, whom it reads from, until when that counts
 *     <prefix>:{<hash>}:told      what upstream said under a claim's key, and when; expires
 *     <prefix>:{<hash>}:lock      whose claim it is; expires
 *
 * What is changed together has one hash tag, so that Redis Cluster keeps it on one node. Every key expires. Time is the
 * engine's (TIME), inside scripts only.
 */
export class RedisCoordinator implements Coordinator {
  readonly #engine: ScriptEngine;
  readonly #node: NodeFacts;
  readonly #options: RedisCoordinatorOptions;

  constructor(engine: ScriptEngine, node: NodeFacts, options: RedisCoordinatorOptions) {
    this.#engine = engine;
    this.#node = node;
    this.#options = options;
  }

  async beat(
    load: NodeLoad,
  ): Promise<{ readonly members: readonly Member[]; readonly pauses: readonly SharedPause[] }> {
    const { staleMs } = this.#options;
    const keys = [this.#key('nodes', 'members'), this.#key('nodes', 'pauses')];
    const self = JSON.stringify({ node: this.#node, load });
    const reply = await this.#engine.run(beatScript, keys, [this.#node.id, self, String(staleMs)]);
    const [members, pauses] = Array.isArray(reply) ? reply.map(texts) : [];
    return {
      members: pairs(members)
        .flatMap(([json, silentMs]) => {
          const member = parseMember(json);
          return member === undefined ? [] : [{ ...member, silentMs: Number(silentMs) }];
        })
        .sort(byId),
      pauses: pairs(pauses).flatMap(([json, leftMs]) => {
        const pause = parsePause(json);
        return pause === undefined ? [] : [{ ...pause, leftMs: Number(leftMs) }];
      }),
    };
  }

  async part(): Promise<void> {
    await this.#engine.run(partScript, [this.#key('nodes', 'members')], [this.#node.id]);
  }

  async visit(digest: Digest, visit: Visit): Promise<Standing> {
    const { leaseMs, staleMs, maxChildren } = this.#options;
    const {
      prefixBytes,
      sizeBytes,
      parents,
      token,
      seeks,
      onlyAhead = false,
      yields = false,
      avoid,
      gone,
      among,
    } = visit;
    const reply = await this.#engine.run(visitScript, this.#keysOf(digest), [
      ...this.#self,
      ...[
        String(prefixBytes),
        String(sizeBytes ?? ''),
        [...new Set(parents)].join(' '),
        token ?? '',
        seeks ? '1' : '0',
      ],
      ...[avoid.join(' '), gone.join(' '), this.#freshToken()],
      ...[leaseMs, staleMs, maxChildren].map(String),
      among === undefined ? '' : ['', ...among].join(' ') || ' ',
      yields ? 'yields' : onlyAhead ? 'ahead' : '',
    ]);
    return standing(texts(reply));
  }

  async leave(
    digest: Digest,
    { token, isComplete }: { token: string | undefined; isComplete: boolean },
  ): Promise<void> {
    const [id = '', ...facts] = this.#self;
    const args = [id, token ?? '', isComplete ? '1' : '0', ...facts, String(this.#options.holderMs)];
    await this.#engine.run(leaveScript, this.#keysOf(digest), args);
  }

  async announce(contents: readonly { readonly digest: Digest; readonly sizeBytes: number }[]): Promise<void> {
    const [id = '', ...facts] = this.#self;
    const holderMs = String(this.#options.holderMs);
    const told = contents.map(({ digest, sizeBytes }) =>
      this.#engine.run(announceScript, [this.#key(digest, 'holders')], [id, String(sizeBytes), ...facts, holderMs]),
    );
    await Promise.all(told);
  }

  async lost(digest: Digest, node: NodeId): Promise<void> {
    await this.#engine.run(partScript, [this.#key(digest, 'holders')], [node]);
  }

  async claim(key: string, maxAgeMs: number): Promise<Claim> {
    const args = [String(maxAgeMs), this.#freshToken(), String(this.#options.leaseMs)];
    const [kind, first = '', second] = texts(await this.#engine.run(claimScript, this.#claimKeys(key), args));
    if (kind === 'known') return { kind, value: first, ageMs: Number(second) };
    if (kind === 'mine') return { kind, token: first };
    if (kind === 'theirs') return { kind, leftMs: Math.max(0, Number(first)) };
    throw unexpected(claimScript);
  }

  async keep(key: string, token: string): Promise<void> {
    const [, lock = ''] = this.#claimKeys(key);
    await this.#engine.run(keepScript, [lock], [token, String(this.#options.leaseMs)]);
  }

  async settle(key: string, token: string, value: string, keepMs: number): Promise<void> {
    await this.#engine.run(settleScript, this.#claimKeys(key), [token, value, lifetime(keepMs)]);
  }

  async drop(key: string, token: string): Promise<void> {
    await this.#engine.run(settleScript, this.#claimKeys(key), [token]);
  }

  async pause({ leftMs, ...pause }: SharedPause): Promise<void> {
    const field = [pause.upstream, pause.endpoint, pause.what].join(' ');
    const args = [field, JSON.stringify(pause), lifetime(leftMs)];
    await this.#engine.run(pauseScript, [this.#key('nodes', 'pauses')], args);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#engine[Symbol.asyncDispose]();
  }

  get #self(): string[] {
    const { id, zone, address, protocol } = this.#node;
    return [id, zone ?? '', address, String(protocol)];
  }

  #freshToken(): string {
    return `${this.#node.id} ${randomBytes(9).toString('base64url')}`;
  }

  #keysOf(digest: Digest): string[] {
    return [this.#key(digest, 'lease'), this.#key(digest, 'holders')];
  }

  /** Of any length and form: its hash names it. */
  #claimKeys(key: string): string[] {
    const name = hexOf(digestOf(Buffer.from(key)));
    return [this.#key(name, 'told'), this.#key(name, 'lock')];
  }

  #key(tag: string, name: string): string {
    return `${this.#options.prefix}:{${tag}}:${name}`;
  }
}

const longestMs = 365 * 24 * 3_600_000;

const partScript: Script = { name: 'part', lua: "return redis.call('HDEL', KEYS[1], ARGV[1])" };

function standing([kind, ...rest]: readonly string[]): Standing {
  const [first = '', zone = '', address = '', protocol, prefix, size = '', isComplete] = rest;
  if (kind === 'leads') return { kind, token: first };
  if (kind === 'waits') return { kind, leader: first, isAhead: zone === '1' };
  if (kind === 'noted') return { kind };
  if (kind !== 'follows') throw unexpected(visitScript);
  return {
    kind,
    holder: {
      node: first,
      zone: zone === '' ? undefined : zone,
      address,
      protocol: Number(protocol),
      prefixBytes: Number(prefix),
      sizeBytes: size === '' ? undefined : Number(size),
      isComplete: isComplete === '1',
    },
  };
}

/** As engines take it: of none at all, and of one beyond all days, they make an error. */
function lifetime(ms: number): string {
  return String(Math.min(Math.max(1, Math.ceil(ms)), longestMs));
}

function unexpected({ name }: Script): AppError {
  return new AppError('CLUSTER_UNAVAILABLE', `the engine answered ${name} with something else`);
}

function texts(reply: unknown): string[] {
  return Array.isArray(reply) ? reply.map(String) : [];
}

function pairs(list: readonly string[] = []): [string, string][] {
  const found: [string, string][] = [];
  for (let index = 0; index + 1 < list.length; index += 2) found.push([list[index] ?? '', list[index + 1] ?? '']);
  return found;
}

function byId(a: Member, b: Member): number {
  return a.node.id < b.node.id ? -1 : 1;
}
