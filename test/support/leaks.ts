import assert from 'node:assert/strict';
import { readdir, readlink } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

const deadlineMs = 3000;

/**
 * Tells what a test left open: descriptors (files and sockets), timers and other handles that keep the process alive.
 * Sockets close a moment after their owner, so that what is left is looked at again for up to 3 s before it is a leak.
 *
 *     const leaks = await Leaks.watch();
 *     ...
 *     await leaks.assertNone();
 */
export class Leaks {
  readonly #descriptors: ReadonlySet<string>;
  readonly #resources: readonly string[];

  private constructor(descriptors: ReadonlySet<string>, resources: readonly string[]) {
    this.#descriptors = descriptors;
    this.#resources = resources;
  }

  static async watch(): Promise<Leaks> {
    return new Leaks(new Set(await openDescriptors()), activeResources());
  }

  /** What is open now that was not when the watch began. */
  async left(): Promise<readonly string[]> {
    const descriptors = (await openDescriptors()).filter((descriptor) => !this.#descriptors.has(descriptor));
    const known = [...this.#resources];
    const resources = activeResources().filter((resource) => {
      const at = known.indexOf(resource);
      if (at >= 0) known.splice(at, 1);
      return at < 0;
    });
    return [...descriptors, ...resources];
  }

  async assertNone(): Promise<void> {
    const giveUpAt = performance.now() + deadlineMs;
    let left = await this.left();
    for (let pauseMs = 1; left.length > 0 && performance.now() < giveUpAt; pauseMs = Math.min(100, pauseMs * 2)) {
      await delay(pauseMs);
      left = await this.left();
    }
    assert.deepEqual(left, [], `left open:\n${left.join('\n')}`);
  }
}

/** As `12 -> /path` or `12 -> socket:[inode]`. Empty where there is no /proc. */
async function openDescriptors(): Promise<string[]> {
  const folder = '/proc/self/fd';
  const names = await readdir(folder).catch(() => []);
  const links = names.map(async (name) => {
    const target = await readlink(`${folder}/${name}`).catch(() => undefined); // the one that read the folder is closed
    return target === undefined ? [] : [`${name} -> ${target}`];
  });
  return (await Promise.all(links)).flat();
}

/** Without those of our own looking. */
function activeResources(): string[] {
  return process.getActiveResourcesInfo().filter((name) => !/^(FSReq|Immediate|TickObject|PromiseWrap)/.test(name));
}
