import { asAppError } from '../core/errors.ts';
import type { Channels } from '../telemetry/channels.ts';
import { exitCodes } from './options.ts';

export interface FaultWatchDeps {
  /** The process: its two last resorts, and the way out. */
  readonly process: {
    on(event: 'uncaughtException' | 'unhandledRejection', listener: (error: unknown) => void): unknown;
    exit(code: number): void;
  };
  readonly channels: Pick<Channels, 'notice'>;
  /** Leaves what is on disk as a restart can take it up. May hang, or fail: then it is not waited for. */
  leave(): Promise<void>;
}

/** How long leaving may take after a fault: what runs on without a part of its state should not run long. */
const leaveWithinMs = 5_000;

/**
 * Ends the process on an error that nobody caught: half of its state may be wrong, so it does not go on serving.
 *
 * Invariants: the first fault is told in one line, then `leave` runs once and the process exits with `failed`, at the
 * latest after `leaveWithinMs`; what goes wrong while it leaves is told and changes nothing.
 */
export function exitOnFault({ process, channels, leave }: FaultWatchDeps, withinMs: number = leaveWithinMs): void {
  let isLeaving = false;
  const onFault = (error: unknown) => {
    const message = isLeaving ? 'a fault while leaving' : 'a fault that nobody caught: leaving, fills can be resumed';
    channels.notice.publish({ level: 'error', message, error: asAppError(error), fields: { event: 'fault' } });
    if (isLeaving) return;
    isLeaving = true;
    const exit = () => process.exit(exitCodes.failed);
    // It keeps the process alive on purpose: the exit code is to be ours.
    const limit = setTimeout(exit, withinMs);
    leave()
      .catch((cause: unknown) => {
        channels.notice.publish({ level: 'error', message: 'could not leave in order', error: cause });
      })
      .finally(() => {
        clearTimeout(limit);
        exit();
      });
  };
  process.on('uncaughtException', onFault);
  process.on('unhandledRejection', onFault);
}
