import assert from 'node:assert/strict';
import { it } from 'node:test';
import { VirtualClock } from '../../core/testing/virtual-clock.ts';
import { coordinatorSuite, suiteOptions, testNode } from '../testing/coordinator-suite.ts';
import { MemoryCoordinator } from './memory-coordinator.ts';
import { MemoryEngine } from './memory-engine.ts';

coordinatorSuite('memory coordinator', async () => {
  const clock = new VirtualClock();
  const engine = new MemoryEngine(clock, suiteOptions);
  return {
    join: (node) => new MemoryCoordinator(engine, node),
    pass: async (ms) => clock.advance(ms),
    [Symbol.asyncDispose]: async () => {},
  };
});

it('a way that is cut rejects every call', async () => {
  const coordinator = new MemoryCoordinator(new MemoryEngine(new VirtualClock(), suiteOptions), testNode('a'));
  coordinator.isCut = true;
  await assert.rejects(coordinator.beat({ children: 0, fills: [] }), { code: 'CLUSTER_UNAVAILABLE' });
  await assert.rejects(coordinator.claim('key', 0), { code: 'CLUSTER_UNAVAILABLE' });
});
