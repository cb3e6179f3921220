import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Clock, Timer } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { certificateProblem, keyProblem, pairProblem, validityOf } from '../../core/key-pair.ts';
import type { Channels } from '../../telemetry/channels.ts';
import type { ServerCertificate } from './tls-front.ts';

export interface CertificateWatchDeps {
  readonly clock: Clock;
  readonly channels: Pick<Channels, 'notice'>;
}

export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

interface Pair {
  readonly cert: string;
  readonly key: string;
}

const lookEveryMs = 5_000;
/** Whoever learns the key of tickets can read what was sent on sessions resumed with them: it does not live for long. */
const newTicketKeysAfterMs = 12 * 3_600_000;

/**
 * The certificate of the data port: read at the start, and again whenever its files change. Their content is compared, as what
 * a file system tells of changes differs (Kubernetes swaps a symbolic link two folders up).
 *
 * Invariants: what is current can be used, always; a pair that cannot be used, or holds no more, changes nothing. One look is
 * under way at a time. Two files cannot change at once, so what is wrong is told when the next look finds the same, and once.
 * After disposal nobody is told anything and no timer is left.
 */
export class CertificateWatch implements Disposable {
  readonly #deps: CertificateWatchDeps;
  readonly #files: CertificateFiles;
  readonly #subscribers: ((certificate: ServerCertificate) => void)[] = [];
  readonly #closing = new AbortController();
  #current: ServerCertificate;
  #untilMs: number;
  #ticketKeysMs: number;
  /** What was wrong at the last look, and whether it was told. */
  #trouble: { readonly text: string; isTold: boolean } | undefined;
  #hasExpired: boolean;
  #timer: Timer | undefined;

  private constructor(deps: CertificateWatchDeps, files: CertificateFiles, pair: Pair) {
    this.#deps = deps;
    this.#files = files;
    this.#current = { ...pair, ticketKeys: randomBytes(48) };
    this.#untilMs = validityOf(pair.cert).untilMs;
    this.#ticketKeysMs = deps.clock.monotonic();
    // What holds no more at the start is told with the configuration.
    this.#hasExpired = this.#untilMs <= deps.clock.now();
    this.#lookLater();
  }

  /** Rejects with CONFIG_INVALID, naming the file, where the pair cannot be used. */
  static async open(deps: CertificateWatchDeps, files: CertificateFiles): Promise<CertificateWatch> {
    const read = await readPair(files, new AbortController().signal);
    if ('problem' in read) throw new AppError('CONFIG_INVALID', `server.tls: ${read.problem}`);
    return new CertificateWatch(deps, files, read);
  }

  get current(): ServerCertificate {
    return this.#current;
  }

  /** When the current one ceases to hold, in ms since the epoch. */
  get untilMs(): number {
    return this.#untilMs;
  }

  /** What is wrong now, in words. */
  warnings(): readonly string[] {
    return this.#untilMs <= this.#deps.clock.now() ? [`the certificate in ${this.#files.certFile} has expired`] : [];
  }

  /** Told each time that another one is current. */
  subscribe(subscriber: (certificate: ServerCertificate) => void): void {
    this.#subscribers.push(subscriber);
  }

  [Symbol.dispose](): void {
    this.#closing.abort();
    this.#timer?.clear();
    this.#subscribers.length = 0;
  }

  #lookLater(): void {
    this.#timer = this.#deps.clock.after(lookEveryMs, () => void this.#look());
  }

  async #look(): Promise<void> {
    const read = await readPair(this.#files, this.#closing.signal);
    if (this.#closing.signal.aborted) return;
    this.#lookLater();
    if ('problem' in read) this.#keepOld(read.problem);
    else if (read.cert === this.#current.cert && read.key === this.#current.key) this.#trouble = undefined;
    else this.#consider(read);
    this.#renewTicketKeys();
    this.#tellExpiry();
  }

  #consider(pair: Pair): void {
    const { untilMs } = validityOf(pair.cert);
    if (untilMs <= this.#deps.clock.now()) {
      return this.#keepOld(`the certificate in ${this.#files.certFile} has expired at ${timeText(untilMs)}`);
    }
    this.#trouble = undefined;
    this.#untilMs = untilMs;
    this.#hasExpired = false;
    this.#use({ ...pair, ticketKeys: this.#current.ticketKeys });
    const fields = { event: 'certificate', file: this.#files.certFile, until: timeText(untilMs) };
    this.#say('info', 'new connections are shown the new certificate', fields);
  }

  #keepOld(problem: string): void {
    if (this.#trouble?.text !== problem) {
      this.#trouble = { text: problem, isTold: false };
      return;
    }
    if (this.#trouble.isTold) return;
    this.#trouble.isTold = true;
    const fields = { event: 'certificate', problem, until: timeText(this.#untilMs) };
    this.#say('warn', 'the files of the certificate have changed and cannot be used: the old one stays', fields);
  }

  #renewTicketKeys(): void {
    const nowMs = this.#deps.clock.monotonic();
    if (nowMs - this.#ticketKeysMs < newTicketKeysAfterMs) return;
    this.#ticketKeysMs = nowMs;
    this.#use({ ...this.#current, ticketKeys: randomBytes(48) });
  }

  #tellExpiry(): void {
    if (this.#hasExpired || this.#untilMs > this.#deps.clock.now()) return;
    this.#hasExpired = true;
    const fields = { event: 'certificate', file: this.#files.certFile, until: timeText(this.#untilMs) };
    this.#say('error', 'the certificate has expired', fields);
  }

  #use(certificate: ServerCertificate): void {
    this.#current = certificate;
    for (const subscriber of this.#subscribers) subscriber(certificate);
  }

  #say(level: 'info' | 'warn' | 'error', message: string, fields: Readonly<Record<string, unknown>>): void {
    this.#deps.channels.notice.publish({ level, message, fields });
  }
}

/** Never rejects. */
async function readPair(
  { certFile, keyFile }: CertificateFiles,
  signal: AbortSignal,
): Promise<Pair | { problem: string }> {
  try {
    const [cert, key] = await Promise.all(
      [certFile, keyFile].map((file) => readFile(file, { encoding: 'utf8', signal })),
    );
    if (cert === undefined || key === undefined) return { problem: 'there are no files' };
    const certTrouble = certificateProblem(cert);
    if (certTrouble !== undefined) return { problem: `the file ${certFile} ${certTrouble}` };
    const keyTrouble = keyProblem(key) ?? pairProblem(cert, key);
    return keyTrouble === undefined ? { cert, key } : { problem: `the file ${keyFile} ${keyTrouble}` };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
