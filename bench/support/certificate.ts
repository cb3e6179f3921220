import { join } from 'node:path';
import { run } from '../../test/support/child.ts';
import { needs } from '../../test/support/need.ts';

/** PEM files. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** Why there cannot be one, or false. */
export function needsForCertificate(): string | false {
  return needs('openssl');
}

/** A certificate for 127.0.0.1, signed by itself, of the kind that most servers have today (ECDSA, P-256). */
export async function makeCertificate(folder: string): Promise<Certificate> {
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30'];
  const name = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const { code, stderr } = await run('openssl', ['req', '-x509', ...kind, ...name, '-keyout', key, '-out', cert]);
  if (code !== 0) throw new Error(`openssl: ${stderr}`);
  return { cert, key };
}
