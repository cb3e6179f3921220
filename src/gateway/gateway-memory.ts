import { type MemoryBudget, shareOfEach } from '../core/memory-budget.ts';
import { BlockLayout } from './blocks/block-layout.ts';

/** What one gateway may take, and what all of them have together: crosses to their threads as it is. */
export interface GatewayMemory {
  /** For buffers that are kept for reuse, and large ones that are lent. */
  readonly bufferBytes: number;
  /** For answers that are kept prepared. */
  readonly preparedBytes: number;
  /** The blocks of hot content (`SharedBlocks`). */
  readonly blocks: SharedArrayBuffer;
}

const blockBytes = 1024 * 1024;

/** Divides what gateways have of the budget among so many; 0: one, in the main thread. */
export function gatewayMemory(budget: MemoryBudget, gateways: number): GatewayMemory {
  const blocks = Math.floor(budget.blockCacheBytes / blockBytes);
  return {
    bufferBytes: shareOfEach(budget.queuedBytes, gateways),
    preparedBytes: shareOfEach(budget.preparedBytes, gateways),
    blocks: new BlockLayout({ blocks, blockBytes, threads: Math.max(1, gateways) }).allocate(),
  };
}
