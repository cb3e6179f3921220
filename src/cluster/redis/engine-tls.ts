import { readFileSync } from 'node:fs';

export interface EngineTls {
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
}

/** The files' contents. Throws where one cannot be read. */
export function readEngineTls({ caFile, certFile, keyFile }: EngineTls): { ca?: Buffer; cert?: Buffer; key?: Buffer } {
  return {
    ...(caFile === undefined ? {} : { ca: readFileSync(caFile) }),
    ...(certFile === undefined ? {} : { cert: readFileSync(certFile) }),
    ...(keyFile === undefined ? {} : { key: readFileSync(keyFile) }),
  };
}
