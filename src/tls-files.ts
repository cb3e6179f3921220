import { readFile } from 'node:fs/promises';

/** The files that a section `tls` of the configuration names. */
export interface TlsFiles {
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
}

/** What is in them, in PEM; of a file that is not named there is no key. */
export interface TlsTexts {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export async function readTls({ caFile, certFile, keyFile }: TlsFiles): Promise<TlsTexts> {
  const text = (path: string | undefined) => (path === undefined ? undefined : readFile(path, 'utf8'));
  const [ca, cert, key] = await Promise.all([text(caFile), text(certFile), text(keyFile)]);
  // An empty file is one that is being written, or a mistake: never the same as none.
  return { ...(ca !== undefined && { ca }), ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) };
}
