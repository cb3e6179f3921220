import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../../test/support/child.ts';

/** Of this checkout. */
const ownRoot = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Another revision, checked out beside this one as a detached worktree in a folder of its own. It is gone when it is
 * disposed of, and with this process however that ends, except by SIGKILL: then `git worktree prune` forgets it once the
 * system has emptied its folder of temporary files.
 */
export class RevisionCheckout implements Disposable {
  readonly commit: string;
  readonly path: string;
  readonly #folder: string;
  readonly #root: string;
  readonly #leave = () => this[Symbol.dispose]();
  #isThere = true;

  private constructor(root: string, commit: string) {
    this.#root = root;
    this.commit = commit;
    this.#folder = mkdtempSync(join(tmpdir(), 'onepull-revision-'));
    this.path = join(this.#folder, 'checkout');
    process.once('exit', this.#leave);
  }

  /** `revision`: as git takes it. `root`: the checkout whose history it is part of. */
  static async make(revision: string, root: string = ownRoot): Promise<RevisionCheckout> {
    const commit = git(root, 'rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`);
    const checkout = new RevisionCheckout(root, commit);
    try {
      git(root, 'worktree', 'add', '--detach', '--force', checkout.path, commit);
      await checkout.#bringDependencies();
    } catch (error) {
      checkout[Symbol.dispose]();
      throw error;
    }
    return checkout;
  }

  [Symbol.dispose](): void {
    if (!this.#isThere) return;
    this.#isThere = false;
    process.off('exit', this.#leave);
    try {
      git(this.#root, 'worktree', 'remove', '--force', '--force', this.path);
    } catch {
      // It was not there yet, or a child of it still writes: what is left goes with the folder.
    }
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 3 });
    git(this.#root, 'worktree', 'prune');
  }

  /** Those of this checkout where both want the same, else its own. */
  async #bringDependencies(): Promise<void> {
    const lock = (commit: string) => git(this.#root, 'show', `${commit}:package-lock.json`);
    if (lock(this.commit) === lock('HEAD')) {
      symlinkSync(join(this.#root, 'node_modules'), join(this.path, 'node_modules'));
      return;
    }
    const { code, stderr } = await run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: this.path });
    if (code !== 0)
      throw new Error(`npm ci of ${this.commit.slice(0, 9)} failed, and it needs other packages: ${stderr}`);
  }
}

function git(root: string, ...args: string[]): string {
  try {
    return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
  } catch (cause) {
    const { stderr = '' } = cause as { stderr?: string };
    throw new Error(`git ${args.join(' ')}: ${stderr.trim() || 'failed'}`, { cause });
  }
}
