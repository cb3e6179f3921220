import { readFile } from 'node:fs/promises';

/** The files that a section `tls` of the configuration names. */
export interface TlsFiles {
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
}

/** What is in them; of a file that is not named there is no key. */
export async function readTls({ caFile, certFile, keyFile }: TlsFiles) {
  const text = (path: string | undefined) => (path === undefined ? undefined : readFile(path, 'utf8'));
  const [ca, cert, key] = await Promise.all([text(caFile), text(certFile), text(keyFile)]);
  return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
}
