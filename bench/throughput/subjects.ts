import { productVersion } from '../../src/config/version.ts';
import type { Certificate } from '../support/certificate.ts';
import { distribution } from '../support/subjects/distribution.ts';
import { nginx } from '../support/subjects/nginx.ts';
import { onepullServer } from '../support/subjects/onepull-server.ts';
import type { ServedPath } from '../support/subjects/static-files.ts';
import type { Absent, Subject } from '../support/subjects/subject.ts';
import { varnish } from '../support/subjects/varnish.ts';

export interface SubjectsSetup {
  readonly paths: readonly ServedPath[];
  readonly certificate: Certificate | undefined;
}

/**
 * Hits, and nothing beside them: no line for each request, which the peers do not write either, and no scrub, which would
 * take its steady share of the CPU while others are measured.
 */
export const quietSettings = { log: { access: false }, storage: { scrubRate: 0 } } as const;

/** The subject of this name in a case's list, or why it cannot take part. */
export function subjectOf(name: string, setup: SubjectsSetup): Promise<Subject | Absent> {
  const make = makers[name];
  if (make === undefined) throw new Error(`nobody is called ${name}`);
  return make(name, setup);
}

type Make = (name: string, setup: SubjectsSetup) => Promise<Subject | Absent>;

const makers: Readonly<Record<string, Make>> = {
  onepull: own('', {}),
  'onepull, no threads': own(' (server.threads: 0)', { server: { threads: 0 } }),
  'onepull, logging': own(' (access log)', { log: { access: true } }),
  'onepull, TLS': async (name, setup) => {
    const { certificate } = setup;
    return certificate === undefined ? noCertificate : own(' (TLS)', { server: { tls: certificate } })(name, setup);
  },
  nginx: (name, { paths }) => nginx({ name, paths }),
  'nginx, logging': (name, { paths }) => nginx({ name, paths, note: 'access log', accessLog: true }),
  'nginx, TLS': async (name, { paths, certificate }) => {
    return certificate === undefined ? noCertificate : nginx({ name, paths, note: 'TLS', tls: certificate });
  },
  varnish: () => varnish(),
  distribution: () => distribution({ quiet: true }),
};

function own(note: string, settings: Readonly<Record<string, unknown>>): Make {
  const title = `onepull ${productVersion()}${note}`;
  return async (name) => onepullServer({ name, title, settings: { ...quietSettings, ...settings } });
}

const noCertificate: Absent = { absent: 'needs: apt-get install openssl' };
