import { cpus } from 'node:os';

/** CPU time that all programs of the machine together took since it booted, in ms. */
export function machineBusyMs(): number {
  return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
}
