import { describe, it } from 'node:test';
import { Random } from '../../flights/testing/random.ts';
import { type Crash, type Life, live, surviveAll } from '../testing/crash-survival.ts';
import { Layout } from './layout.ts';

/**
 * The process is killed at random moments, and something happens to the files of the catalog before the next start:
 *
 *   STATES=2000 SEED=1 node --test src/store/fs/damaged-catalog.test.ts
 */
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const states = Number(process.env.STATES ?? 30);
const suffixes = ['', '-wal', '-shm'] as const;

type Damage = (files: Map<string, Uint8Array>, random: Random, life: Life) => void;

/** Does something to one of the files that are there. */
function onOne(change: (bytes: Uint8Array, random: Random) => Uint8Array): Damage {
  return (files, random) => {
    const path = random.pick([...files.keys()]);
    const bytes = path === undefined ? undefined : files.get(path);
    if (path !== undefined && bytes !== undefined) files.set(path, change(bytes, random));
  };
}

const damages: Readonly<Record<string, Damage>> = {
  'a file is cut short': onOne((bytes, random) => bytes.slice(0, random.below(bytes.byteLength + 1))),
  'a file is empty': onOne(() => new Uint8Array()),
  'a file is something else': onOne((bytes, random) => bytes.map(() => random.below(256))),
  'pages are zeros': onOne((bytes, random) => {
    const start = random.below(Math.ceil(bytes.byteLength / 4096)) * 4096;
    const end = Math.min(bytes.byteLength, start + 4096 * (1 + random.below(4)));
    return bytes.slice().fill(0, start, end);
  }),
  'some bytes are others': onOne((bytes, random) => {
    const changed = bytes.slice();
    for (let count = 0; count < 20; count++) changed[random.below(changed.byteLength)] = random.below(256);
    return changed;
  }),
  'its header says that it may only be read': (files) => {
    for (const [path, bytes] of files) {
      // "File format write version". The log has pages of its own.
      if (path.endsWith('.db') && bytes.length > 18) files.set(path, bytes.slice().fill(3, 18, 19));
      else files.delete(path);
    }
  },
  'a file is gone': (files, random) => {
    files.delete(random.pick([...files.keys()]) ?? '');
  },
  'a file is of another time': (files, random, life) => {
    const path = random.pick([...files.keys()]);
    const other = life.disk.crash(random.below(life.disk.steps), { kind: 'all' });
    if (path === undefined) return;
    const bytes = other.files.get(path);
    if (bytes === undefined) files.delete(path);
    else files.set(path, bytes);
  },
};

function damaged(damage: Damage, random: Random, life: Life): Crash['catalog'] {
  return (state, root) => {
    const { catalog } = new Layout(root);
    const paths = suffixes.map((suffix) => `${catalog}${suffix}`);
    const files = new Map([...state.files].filter(([path]) => paths.includes(path)));
    damage(files, random, life);
    const others = [...state.files].filter(([path]) => !paths.includes(path));
    return { ...state, files: new Map([...others, ...files]) };
  };
}

describe('a catalog that is not what it was', () => {
  for (const [how, damage] of Object.entries(damages)) {
    it(`keeps no store from starting, and costs no content: ${how}`, async (t) => {
      t.diagnostic(`SEED=${seed}`);
      const random = new Random(seed);
      const life = await live();
      const crashes = Array.from({ length: states }, (): Crash => {
        const step = random.below(life.disk.steps);
        return { step, how, survival: { kind: 'all' }, catalog: damaged(damage, random, life) };
      });
      await surviveAll(life, crashes);
    });
  }
});
