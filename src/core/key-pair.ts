import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';

/** What is wrong with the text of a certificate's file, its chain included, in words that follow its name; else undefined. */
export function certificateProblem(pem: string): string | undefined {
  return attempt(() => new X509Certificate(pem)) === undefined ? 'is not a certificate in PEM form' : undefined;
}

/** The same of a private key's file. */
export function keyProblem(pem: string): string | undefined {
  if (attempt(() => createPrivateKey(pem)) !== undefined) return undefined;
  return /ENCRYPTED/.test(pem) ? 'is encrypted: onepull has no password for it' : 'is not a private key in PEM form';
}

/** Why the two, each right in itself, cannot be used together, in words that follow the name of the key's file. */
export function pairProblem(cert: string, key: string): string | undefined {
  const certificate = attempt(() => new X509Certificate(cert));
  const privateKey = attempt(() => createPrivateKey(key));
  if (certificate === undefined || privateKey === undefined) return undefined;
  if (!certificate.checkPrivateKey(privateKey)) return 'is not the key of the certificate';
  try {
    createSecureContext({ cert, key });
    return undefined;
  } catch (error) {
    return `cannot be used with the certificate (${error instanceof Error ? error.message : String(error)})`;
  }
}

/** When the certificate begins and ceases to hold, in ms since the epoch. Throws where the text is none. */
export function validityOf(cert: string): { readonly fromMs: number; readonly untilMs: number } {
  const { validFrom, validTo } = new X509Certificate(cert);
  return { fromMs: Date.parse(validFrom), untilMs: Date.parse(validTo) };
}

function attempt<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}
