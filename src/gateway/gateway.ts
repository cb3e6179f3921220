import type { ServerCertificate } from './tls/tls-front.ts';

/** What answers clients: one server in this thread, or several in threads of their own. */
export interface Gateway extends AsyncDisposable {
  /** Resolves with the address that it listens on. Rejects with LISTEN_FAILED. */
  listen(): Promise<{ host: string; port: number }>;
  /** For new connections, where it speaks HTTPS. */
  useCertificate(certificate: ServerCertificate): void;
  /**
   * Stops accepting, lets running responses finish for at most `timeoutMs`, then cuts what is left. A later call with
   * less time hastens an earlier one.
   */
  drain(timeoutMs: number): Promise<void>;
  /** Answers under way, and the bytes that are held in memory for clients. */
  load(): { readonly responses: number; readonly queuedBytes: number };
  /** Threads of its own that run, and how many took the place of one that had died. */
  readonly threads: { readonly running: number; readonly replaced: number };
}
