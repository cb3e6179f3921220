import { spawn } from 'node:child_process';
import { readFile, readlink } from 'node:fs/promises';
import { stripVTControlCharacters } from 'node:util';
import { Child, type Exit, run } from './child.ts';

const program = new URL('../../bin/onepull', import.meta.url).pathname;

type Environment = Readonly<Record<string, string>>;

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command line to its end, as its users do, with no `ONEPULL_` variable but those given and no terminal. */
export async function command(args: readonly string[], environment: Environment = {}): Promise<Outcome> {
  const { code, stdout, stderr } = await run(program, args, { env: cleaned(environment) });
  return { code, stdout, stderr };
}

/** A command that goes on until it is ended. */
export function startCommand(args: readonly string[], environment: Environment = {}): Child {
  return new Child(program, args, { env: cleaned(environment) });
}

export interface PseudoTerminalOptions {
  readonly columns?: number;
  readonly rows?: number;
  readonly environment?: Environment;
}

/** A command on a terminal of its own (util-linux's `script`). */
export class PseudoTerminal implements AsyncDisposable {
  readonly exited: Promise<Exit>;
  readonly #process;
  #output = '';
  #watchers: (() => void)[] = [];

  constructor(args: readonly string[], { columns = 80, rows = 24, environment = {} }: PseudoTerminalOptions = {}) {
    const quoted = [program, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
    this.#process = spawn('script', ['-qefc', `stty cols ${columns} rows ${rows}; exec ${quoted}`, '/dev/null'], {
      env: { ...cleaned(environment), TERM: 'xterm-256color', LC_ALL: 'C.UTF-8' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.exited = new Promise((resolve, reject) => {
      this.#process.once('error', reject);
      this.#process.once('close', (code, signal) => resolve({ code, signal }));
    });
    this.#process.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text;
      for (const look of this.#watchers.splice(0)) look();
    });
  }

  /** All that was written so far, with what moves the cursor and colours it. */
  get output(): string {
    return this.#output;
  }

  /** The same as lines, without colours. */
  get text(): string {
    return stripVTControlCharacters(this.#output).replaceAll('\r\n', '\n').trimEnd();
  }

  /** What was drawn, frame by frame, without colours. */
  get frames(): readonly (readonly string[])[] {
    return this.#output
      .split('\u001b[?2026h')
      .slice(1)
      .map((frame) =>
        stripVTControlCharacters(frame.split('\u001b[?2026l')[0] ?? '')
          .replace(/^\r/, '')
          .split('\r\n'),
      );
  }

  /** Resolves once the output has what is wanted; rejects if it ends without. */
  async until(isThere: (terminal: PseudoTerminal) => boolean): Promise<void> {
    let hasEnded = false;
    this.exited.finally(() => {
      hasEnded = true;
      for (const look of this.#watchers.splice(0)) look();
    });
    while (!isThere(this)) {
      if (hasEnded) throw new Error(`it ended without what is wanted:\n${JSON.stringify(this.#output)}`);
      await new Promise<void>((resolve) => this.#watchers.push(resolve));
    }
  }

  /** As if its window were drawn to another size. */
  async resize(columns: number, rows: number): Promise<void> {
    const { pid } = this.#process;
    const [child] = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ');
    const device = await readlink(`/proc/${child}/fd/1`);
    const { code, stderr } = await run('stty', ['-F', device, 'cols', String(columns), 'rows', String(rows)]);
    if (code !== 0) throw new Error(stderr);
  }

  type(keys: string): void {
    this.#process.stdin.write(keys);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill('SIGTERM');
    await this.exited.catch(() => {});
  }
}

function cleaned(environment: Environment): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(ONEPULL_|NO_COLOR$|FORCE_COLOR$|CI$|NODE_TEST)/.test(name),
  );
  return { ...Object.fromEntries(own), ...environment };
}
