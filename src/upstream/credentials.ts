import { readFile, stat } from 'node:fs/promises';
import { AppError } from '../core/errors.ts';

export type Credentials =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  /** An OAuth2 refresh token, as `docker login` leaves behind; exchanged at the token server. */
  | { readonly kind: 'identity-token'; readonly token: string };

/** Where one upstream's credentials come from. Asked whenever they are needed, so that they may change underneath. */
export interface CredentialProvider {
  /** For errors: which setting or file this is. Never holds a secret. */
  readonly source: string;
  credentials(signal: AbortSignal): Promise<Credentials>;
}

export const anonymous: Credentials = { kind: 'anonymous' };

/** Credentials that stand in the configuration, or none. */
export class FixedCredentials implements CredentialProvider {
  readonly source: string;
  readonly #credentials: Credentials;

  constructor(credentials: Credentials = anonymous, source = 'the configuration') {
    this.#credentials = credentials;
    this.source = source;
  }

  credentials(): Promise<Credentials> {
    return Promise.resolve(this.#credentials);
  }
}

/** A user name, and a password in a file of its own that is read again when it changes (a mounted secret is rotated). */
export class PasswordFileCredentials implements CredentialProvider {
  readonly source: string;
  readonly #username: string;
  readonly #file: WatchedFile;

  constructor(options: { username: string; path: string }) {
    this.source = `the password file ${options.path}`;
    this.#username = options.username;
    this.#file = new WatchedFile(options.path, this.source);
  }

  async credentials(): Promise<Credentials> {
    const password = (await this.#file.text()).replace(/\r?\n$/, '');
    if (password === '') throw new AppError('CONFIG_INVALID', `${this.source} is empty`);
    return { kind: 'basic', username: this.#username, password };
  }
}

/** A small text file, read again only when its identity, size or time of change differ. */
export class WatchedFile {
  readonly #path: string;
  readonly #source: string;
  #seen: { readonly mark: string; readonly text: string } | undefined;

  constructor(path: string, source: string) {
    this.#path = path;
    this.#source = source;
  }

  async text(): Promise<string> {
    try {
      const { ino, size, mtimeMs, ctimeMs } = await stat(this.#path);
      const mark = `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
      if (this.#seen?.mark !== mark) this.#seen = { mark, text: await readFile(this.#path, 'utf8') };
      return this.#seen.text;
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
      throw new AppError('CONFIG_INVALID', `${this.#source} cannot be read (${code})`, { cause: error });
    }
  }
}
