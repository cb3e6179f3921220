import { spawn } from 'node:child_process';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { SharedCalls } from '../core/shared-calls.ts';
import { anonymous, type CredentialProvider, type Credentials } from './credentials.ts';
import type { Environment } from './proxy-env.ts';

export interface CredentialHelperOptions {
  /** What follows `docker-credential-` in the program's name. */
  readonly name: string;
  /** What the helper knows the registry by. */
  readonly serverUrl: string;
  readonly env: Environment;
  readonly timeoutMs?: number;
  /** How long an answer is used again. Helpers of clouds hand out passwords that live for hours. */
  readonly cacheMs?: number;
}

const maxOutputBytes = 64 * 1024;

/**
 * Asks a docker credential helper: `docker-credential-<name> get`, the server on its stdin, JSON on its stdout. One run
 * serves all who ask meanwhile; a run is bounded in time and output; what it printed is never repeated in an error,
 * since it may hold the secret.
 */
export class CredentialHelper implements CredentialProvider {
  readonly source: string;
  readonly #clock: Clock;
  readonly #options: CredentialHelperOptions;
  readonly #runs = new SharedCalls<Credentials>();
  #cached: { readonly credentials: Credentials; readonly untilMs: number } | undefined;

  constructor(deps: { clock: Clock }, options: CredentialHelperOptions) {
    if (!/^[a-z0-9._-]+$/.test(options.name)) {
      throw new AppError('CONFIG_INVALID', 'a credential helper name has only the characters a-z 0-9 . _ -');
    }
    this.source = `the credential helper docker-credential-${options.name}`;
    this.#clock = deps.clock;
    this.#options = options;
  }

  async credentials(signal: AbortSignal): Promise<Credentials> {
    if (this.#cached !== undefined && this.#clock.monotonic() < this.#cached.untilMs) return this.#cached.credentials;
    return this.#runs.run('get', () => this.#get(), signal);
  }

  async #get(): Promise<Credentials> {
    const { exitCode, output } = await this.#run();
    const credentials = exitCode === 0 ? parseAnswer(output, this.source) : notFound(exitCode, output, this.source);
    const untilMs = this.#clock.monotonic() + (this.#options.cacheMs ?? 3 * 60_000);
    this.#cached = { credentials, untilMs };
    return credentials;
  }

  #run(): Promise<{ exitCode: number | null; output: string }> {
    const { name, serverUrl, env, timeoutMs = 10_000 } = this.#options;
    return new Promise((resolve, reject) => {
      const child = spawn(`docker-credential-${name}`, ['get'], { env, stdio: ['pipe', 'pipe', 'ignore'] });
      const chunks: Buffer[] = [];
      let bytes = 0;
      const fail = (what: string, cause?: unknown) => {
        timer.clear();
        child.kill('SIGKILL');
        child.stdout.destroy();
        reject(new AppError('CONFIG_INVALID', `${this.source} ${what}`, { cause }));
      };
      const timer = this.#clock.after(timeoutMs, () => fail(`did not answer within ${timeoutMs} ms`));
      child.on('error', (error) => fail(`cannot be run (${'code' in error ? error.code : 'unknown'})`, error));
      child.stdout.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > maxOutputBytes) return fail('answered too much');
        chunks.push(chunk);
      });
      child.on('close', (exitCode) => {
        timer.clear();
        resolve({ exitCode, output: Buffer.concat(chunks).toString('utf8') });
      });
      // A helper may answer without reading its input.
      child.stdin.on('error', () => {});
      child.stdin.end(`${serverUrl}\n`);
    });
  }
}

function parseAnswer(output: string, source: string): Credentials {
  let answer: unknown;
  try {
    answer = JSON.parse(output);
  } catch {
    // The parser's own message quotes what it could not read.
    throw new AppError('CONFIG_INVALID', `${source} answered something else than JSON`);
  }
  const { Username: username, Secret: secret } = (answer ?? {}) as Record<string, unknown>;
  if (typeof username !== 'string' || typeof secret !== 'string') {
    throw new AppError('CONFIG_INVALID', `${source} answered without Username and Secret`);
  }
  if (secret === '') return anonymous;
  if (username === '<token>') return { kind: 'identity-token', token: secret };
  return { kind: 'basic', username, password: secret };
}

/** Helpers say that they have nothing with this message and a failure. */
function notFound(exitCode: number | null, output: string, source: string): Credentials {
  if (output.includes('credentials not found')) return anonymous;
  throw new AppError('CONFIG_INVALID', `${source} failed with exit code ${exitCode ?? 'none'}`);
}
