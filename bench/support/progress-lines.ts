/** Writes lines to stderr, with the seconds since it was made. */
export function progressLines(): (line: string) => void {
  const beganAt = performance.now();
  return (line) => {
    process.stderr.write(`${((performance.now() - beganAt) / 1000).toFixed(0).padStart(4)} s  ${line}\n`);
  };
}
