import { describe, it } from 'node:test';
import { Random } from '../../flights/testing/random.ts';
import type { CrashState } from '../testing/crash-model.ts';
import { asItWas, type Crash, live, surviveAll } from '../testing/crash-survival.ts';
import { Layout } from './layout.ts';

/**
 * A store lives its life on a disk that notes every change. Then the machine dies after each of them, in several ways, and a
 * new store is opened on what is left:
 *
 *   MIXES=20 SEED=1 node --test src/store/fs/power-loss.test.ts
 */
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const mixesPerStep = Number(process.env.MIXES ?? 1);

/** SQLite syncs the log when it moves it into the database: before that, any part of the log may be there. */
function cutLog(random: Random): Crash['catalog'] {
  return (state, root) => {
    const { catalog } = new Layout(root);
    const files = new Map(state.files);
    files.delete(`${catalog}-shm`);
    const log = files.get(`${catalog}-wal`);
    if (log !== undefined) files.set(`${catalog}-wal`, log.subarray(0, random.below(log.byteLength + 1)));
    return { ...state, files };
  };
}

function withoutCatalog(state: CrashState, root: string): CrashState {
  const { catalog } = new Layout(root);
  return { ...state, files: new Map([...state.files].filter(([path]) => !path.startsWith(catalog))) };
}

/** Of the machine: nothing but what was synced, and that with some of the rest, with and without a catalog. */
function powerLosses(step: number, random: Random): Crash[] {
  const lost: Crash = {
    step,
    how: 'only what was synced',
    survival: { kind: 'synced' },
    catalog: step % 2 === 0 ? withoutCatalog : asItWas,
  };
  const mixes = Array.from({ length: mixesPerStep }, (_, mix): Crash => {
    const journal = random.chance(0.5);
    const catalog = random.chance(0.3) ? withoutCatalog : cutLog(random);
    return { step, how: `mix ${mix}`, survival: { kind: 'some', random, journal }, catalog };
  });
  return [lost, ...mixes];
}

describe('a crash after any change of the disk', () => {
  it('of the process only: nothing committed and no byte of a fill is lost', async (t) => {
    t.diagnostic(`SEED=${seed}`);
    const random = new Random(seed);
    const life = await live();
    const crashes = life.everyStep((step): Crash => {
      const survival = { kind: 'all', tornBytes: random.below(3000) } as const;
      return { step, how: 'process killed', survival, catalog: asItWas };
    });
    await surviveAll(life, crashes);
  });

  it('of the machine: nothing committed is lost, nothing wrong is served, no fill finds wrong bytes', async (t) => {
    t.diagnostic(`SEED=${seed}`);
    const random = new Random(seed);
    const life = await live();
    await surviveAll(life, life.everyStep((step) => powerLosses(step, random)).flat());
  });
});
