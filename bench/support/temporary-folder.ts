import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * From now on all temporary files of this process and its children are in one folder, which goes with this process: a run
 * that is interrupted leaves no gigabytes behind.
 */
export function ownTemporaryFolder(): void {
  const folder = mkdtempSync(join(tmpdir(), 'onepull-bench-'));
  chmodSync(folder, 0o755); // Some of those who are measured become another user.
  process.env.TMPDIR = folder;
  process.once('exit', () => {
    try {
      rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    } catch {
      // A child that is just being ended may still have written.
    }
  });
}
