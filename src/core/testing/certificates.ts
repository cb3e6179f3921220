import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TestCertificate {
  readonly key: string;
  readonly cert: string;
}

const names = 'subjectAltName=DNS:localhost,DNS:*.corp.test,IP:127.0.0.1';
const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', 'key.pem'];

/**
 * A key and a certificate of its own for localhost, 127.0.0.1 and everything under `.corp.test`. It holds for two days; where
 * `days` is negative it has expired so long ago.
 */
export function makeCertificate(days = 2): TestCertificate {
  return inFolder((openssl, _write, read) => {
    openssl('req', '-new', ...newKey, '-subj', '/CN=localhost', '-addext', names, '-out', 'request.pem');
    const signed = ['-signkey', 'key.pem', '-days', String(days), '-copy_extensions', 'copy'];
    openssl('x509', '-req', '-in', 'request.pem', ...signed, '-out', 'cert.pem');
    return { key: read('key.pem'), cert: read('cert.pem') };
  });
}

/** An authority of its own, which signs certificates of servers and clients on this machine. */
export class TestAuthority {
  readonly cert: string;
  readonly #key: string;

  constructor() {
    const { cert, key } = inFolder((openssl, _write, read) => {
      const extensions = ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign'];
      // Each is another authority, though two have one name: those are told apart by their keys.
      openssl(
        'req',
        '-x509',
        ...newKey,
        '-subj',
        '/CN=authority of tests',
        ...extensions,
        '-days',
        '2',
        '-out',
        'cert.pem',
      );
      return { key: read('key.pem'), cert: read('cert.pem') };
    });
    this.cert = cert;
    this.#key = key;
  }

  /** For localhost and 127.0.0.1. */
  issue(name = 'node'): TestCertificate {
    return inFolder((openssl, write, read) => {
      write('ca.pem', this.cert);
      write('ca-key.pem', this.#key);
      openssl('req', '-new', ...newKey, '-subj', `/CN=${name}`, '-addext', names, '-out', 'request.pem');
      const signed = ['-CA', 'ca.pem', '-CAkey', 'ca-key.pem', '-CAcreateserial', '-days', '2'];
      openssl('x509', '-req', '-in', 'request.pem', ...signed, '-copy_extensions', 'copy', '-out', 'cert.pem');
      return { key: read('key.pem'), cert: read('cert.pem') };
    });
  }
}

function inFolder<T>(
  body: (
    openssl: (...args: string[]) => void,
    write: (name: string, text: string) => void,
    read: (name: string) => string,
  ) => T,
): T {
  const cwd = mkdtempSync(join(tmpdir(), 'onepull-certificate-'));
  try {
    return body(
      (...args) => void execFileSync('openssl', args, { cwd, stdio: 'ignore' }),
      (name, text) => writeFileSync(join(cwd, name), text),
      (name) => readFileSync(join(cwd, name), 'utf8'),
    );
  } finally {
    rmSync(cwd, { recursive: true });
  }
}
