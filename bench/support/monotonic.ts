/** Nanoseconds of the machine's monotonic clock: on Linux the same in every process, so that they can be compared. */
export function monotonicNs(): number {
  return Number(process.hrtime.bigint());
}
