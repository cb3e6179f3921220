import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

/** What enters a named network and becomes a command there. */
export function entering(network: string): readonly string[] {
  return ['nsenter', `--net=/run/netns/${network}`];
}

/** Runs lines of `ip` or `tc`, in a named network or in this process's own; throws with what it says if one fails. */
export async function batch(tool: 'ip' | 'tc', network: string | undefined, lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  const place = network === undefined ? [] : ['-n', network];
  await output(tool, [...place, '-batch', '-'], `${lines.join('\n')}\n`);
}

/** What a command prints; throws with its complaint if it fails. */
export async function output(command: string, args: readonly string[], input = ''): Promise<string> {
  const child = spawn(command, args);
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  // A command that has ended before it read everything is told by its exit code.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr.trim()}\n${input}`);
  return stdout;
}
