import type { Digest } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import type {
  Claim,
  Coordinator,
  Member,
  NodeFacts,
  NodeId,
  NodeLoad,
  SharedPause,
  Standing,
  Visit,
} from '../coordinator.ts';
import type { MemoryEngine } from './memory-engine.ts';

/** One node's way to an engine that several share in this process. */
export class MemoryCoordinator implements Coordinator {
  readonly #engine: MemoryEngine;
  readonly #node: NodeFacts;
  /** Whether the way is cut: then every call is rejected, and the engine hears of none. */
  isCut = false;

  constructor(engine: MemoryEngine, node: NodeFacts) {
    this.#engine = engine;
    this.#node = node;
  }

  async beat(load: NodeLoad): Promise<{ members: readonly Member[]; pauses: readonly SharedPause[] }> {
    return this.#reached.beat(this.#node, load);
  }

  async part(): Promise<void> {
    this.#reached.part(this.#node.id);
  }

  async visit(digest: Digest, visit: Visit): Promise<Standing> {
    return this.#reached.visit(this.#node, digest, visit);
  }

  async leave(digest: Digest, farewell: { token: string | undefined; isComplete: boolean }): Promise<void> {
    this.#reached.leave(this.#node, digest, farewell.token, farewell.isComplete);
  }

  async announce(contents: readonly { digest: Digest; sizeBytes: number }[]): Promise<void> {
    for (const { digest, sizeBytes } of contents) this.#reached.announce(this.#node, digest, sizeBytes);
  }

  async lost(digest: Digest, node: NodeId): Promise<void> {
    this.#reached.lost(digest, node);
  }

  async claim(key: string, maxAgeMs: number): Promise<Claim> {
    return this.#reached.claim(this.#node.id, key, maxAgeMs);
  }

  async keep(key: string, token: string): Promise<void> {
    this.#reached.keep(this.#node.id, key, token);
  }

  async settle(key: string, token: string, value: string, keepMs: number): Promise<void> {
    this.#reached.settle(key, token, value, keepMs);
  }

  async drop(key: string, token: string): Promise<void> {
    this.#reached.drop(key, token);
  }

  async pause(pause: SharedPause): Promise<void> {
    this.#reached.pause(pause);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  get #reached(): MemoryEngine {
    if (this.isCut) throw new AppError('CLUSTER_UNAVAILABLE', 'the engine does not answer');
    return this.#engine;
  }
}
