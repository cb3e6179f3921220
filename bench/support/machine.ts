import { execFileSync } from 'node:child_process';
import { cpus, release, totalmem, type } from 'node:os';
import { formatSize } from '../../src/core/units.ts';

/** Where and when figures were made: without it they say little. */
export interface Machine {
  readonly date: string;
  readonly command: string;
  readonly cores: number;
  readonly cpu: string;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  /** Of the checkout, with `+` where files differ from it. Undefined outside of one. */
  readonly commit: string | undefined;
}

export function describeMachine(command: string): Machine {
  const cores = cpus();
  return {
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
    command,
    cores: cores.length,
    cpu: cores[0]?.model ?? 'unknown',
    memoryBytes: totalmem(),
    kernel: `${type()} ${release()}`,
    node: process.version,
    commit: commit(),
  };
}

export function machineText({ cores, cpu, memoryBytes, kernel, node }: Machine): string {
  return `${cores} cores (${cpu}), ${formatSize(memoryBytes)} memory, ${kernel}, Node.js ${node}`;
}

function commit(): string | undefined {
  const git = (...args: string[]) => {
    return execFileSync('git', args, {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  };
  try {
    const changed = git('status', '--porcelain', '--', '../../src', '../../bin') !== '';
    return git('rev-parse', '--short', 'HEAD').trim() + (changed ? '+' : '');
  } catch {
    return undefined;
  }
}
