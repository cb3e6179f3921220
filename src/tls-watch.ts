import type { Clock, Timer } from './core/clock.ts';
import { AppError } from './core/errors.ts';
import { certificateProblem, keyProblem, pairProblem, validityOf } from './core/key-pair.ts';
import type { Channels } from './telemetry/channels.ts';
import { readTls, type TlsFiles, type TlsTexts } from './tls-files.ts';

export interface TlsWatchDeps {
  readonly clock: Clock;
  readonly channels: Pick<Channels, 'notice'>;
}

type Subscriber = (texts: TlsTexts) => void;

const lookEveryMs = 5_000;

/**
 * What the files of a section `tls` say: read at the start, and again whenever they change. Their content is compared, as a
 * certificate is renewed in many ways (Kubernetes swaps a symbolic link two folders up).
 *
 * Invariants: what is current can be used, always; files that cannot be used, or hold no more, change nothing. One look is under
 * way at a time. Several files cannot change at once, so what is wrong is told when the next look finds the same, and once.
 * After disposal nobody is told anything and no timer is left. Where no file is named there is nothing to look at.
 */
export class TlsWatch implements Disposable {
  readonly #deps: TlsWatchDeps;
  readonly #files: TlsFiles;
  /** The configuration's key. */
  readonly #section: string;
  readonly #subscribers: Subscriber[] = [];
  #current: TlsTexts;
  #trouble: { readonly text: string; isTold: boolean } | undefined;
  #timer: Timer | undefined;
  #isOver = false;

  private constructor(deps: TlsWatchDeps, files: TlsFiles, section: string, texts: TlsTexts) {
    this.#deps = deps;
    this.#files = files;
    this.#section = section;
    this.#current = texts;
    if (Object.keys(texts).length > 0) this.#lookLater();
  }

  /** Rejects with CONFIG_INVALID where a file cannot be used. */
  static async open(deps: TlsWatchDeps, files: TlsFiles, section: string): Promise<TlsWatch> {
    const read = await readUsable(files);
    if (typeof read === 'string') throw new AppError('CONFIG_INVALID', `${section}: ${read}`);
    return new TlsWatch(deps, files, section, read);
  }

  get current(): TlsTexts {
    return this.#current;
  }

  /** What is wrong now, in words. */
  warnings(): readonly string[] {
    const { cert } = this.#current;
    if (cert === undefined || validityOf(cert).untilMs > this.#deps.clock.now()) return [];
    return [`the certificate in ${this.#files.certFile} (${this.#section}) has expired`];
  }

  /** Told each time that other ones are current. */
  subscribe(subscriber: Subscriber): void {
    this.#subscribers.push(subscriber);
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#timer?.clear();
    this.#subscribers.length = 0;
  }

  #lookLater(): void {
    this.#timer = this.#deps.clock.after(lookEveryMs, () => void this.#look());
  }

  async #look(): Promise<void> {
    const read = await this.#readSettled();
    if (this.#isOver) return;
    if (typeof read === 'string') this.#keepOld(read);
    else if (isSame(read, this.#current)) this.#trouble = undefined;
    else this.#consider(read);
    this.#lookLater();
  }

  /** Of files that are swapped as a whole some may have been read before that, and some after it: those are read once more. */
  async #readSettled(): Promise<TlsTexts | string> {
    const read = await readUsable(this.#files);
    return typeof read === 'string' || isSame(read, this.#current) ? read : readUsable(this.#files);
  }

  #consider(texts: TlsTexts): void {
    const { cert } = texts;
    if (cert !== undefined && cert !== this.#current.cert && validityOf(cert).untilMs <= this.#deps.clock.now()) {
      return this.#keepOld(`the certificate in ${this.#files.certFile} has expired`);
    }
    this.#trouble = undefined;
    this.#current = texts;
    for (const subscriber of this.#subscribers) subscriber(texts);
    this.#say('info', 'new connections are made with what the files say now');
  }

  #keepOld(problem: string): void {
    if (this.#trouble?.text !== problem) {
      this.#trouble = { text: problem, isTold: false };
      return;
    }
    if (this.#trouble.isTold) return;
    this.#trouble.isTold = true;
    this.#say('warn', 'the files for TLS have changed and cannot be used: the old ones stay', problem);
  }

  #say(level: 'info' | 'warn', message: string, problem?: string): void {
    const fields = { event: 'tls-files', section: this.#section, ...(problem === undefined ? {} : { problem }) };
    this.#deps.channels.notice.publish({ level, message, fields });
  }
}

function isSame(one: TlsTexts, other: TlsTexts): boolean {
  return one.ca === other.ca && one.cert === other.cert && one.key === other.key;
}

/** What is in the files, or what is wrong with one of them. */
async function readUsable(files: TlsFiles): Promise<TlsTexts | string> {
  const { caFile, certFile, keyFile } = files;
  let texts: TlsTexts;
  try {
    texts = await readTls(files);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const { ca, cert, key } = texts;
  const problemOf = (file: string | undefined, problem: string | undefined) =>
    problem === undefined ? undefined : `${file} ${problem}`;
  return (
    problemOf(caFile, ca === undefined ? undefined : certificateProblem(ca)) ??
    problemOf(certFile, cert === undefined ? undefined : certificateProblem(cert)) ??
    problemOf(keyFile, key === undefined ? undefined : keyProblem(key)) ??
    problemOf(keyFile, cert === undefined || key === undefined ? undefined : pairProblem(cert, key)) ??
    texts
  );
}
