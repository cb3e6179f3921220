import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TestCertificate {
  readonly key: string;
  readonly cert: string;
}

/**
 * A key and a certificate of its own for localhost, 127.0.0.1 and everything under `.corp.test`. It holds for two days; where
 * `days` is negative it has expired so long ago.
 */
export function makeCertificate(days = 2): TestCertificate {
  const cwd = mkdtempSync(join(tmpdir(), 'onepull-certificate-'));
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd, stdio: 'ignore' });
  try {
    const names = 'subjectAltName=DNS:localhost,DNS:*.corp.test,IP:127.0.0.1';
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'key.pem'];
    openssl('req', '-new', ...key, '-subj', '/CN=localhost', '-addext', names, '-out', 'request.pem');
    const signed = ['-signkey', 'key.pem', '-days', String(days), '-copy_extensions', 'copy'];
    openssl('x509', '-req', '-in', 'request.pem', ...signed, '-out', 'cert.pem');
    const read = (name: string) => readFileSync(join(cwd, name), 'utf8');
    return { key: read('key.pem'), cert: read('cert.pem') };
  } finally {
    rmSync(cwd, { recursive: true });
  }
}
