import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * From now on all temporary files of this process and its children are in one folder, which goes with this process: a run
 * that is interrupted leaves no gigabytes behind.
 */
export function ownTemporaryFolder(): void {
  const { path } = folderOfThisProcess('onepull-bench-');
  chmodSync(path, 0o755); // Some of those who are measured become another user.
  process.env.TMPDIR = path;
}

/** A folder that goes when it is disposed of, at the latest with this process: after its children, which end before. */
export function folderOfThisProcess(prefix: string): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), prefix));
  const remove = () => rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  const removeAtLast = () => {
    try {
      remove();
    } catch {
      // A child that is just being ended may still have written.
    }
  };
  process.once('exit', removeAtLast);
  return {
    path,
    [Symbol.dispose]() {
      process.off('exit', removeAtLast);
      remove();
    },
  };
}
