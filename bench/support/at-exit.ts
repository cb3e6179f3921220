/**
 * Interrupted by a person or a supervisor, this process ends as one that comes to its end: with `exit`, which whoever has
 * children or folders to take along listens to. By itself Node.js would be gone without it.
 */
export function endOrderly(): void {
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
    ['SIGHUP', 1],
  ] as const) {
    process.once(signal, () => process.exit(128 + number));
  }
}
