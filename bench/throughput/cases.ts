import { manifestsAt, type Parameters } from './parameters.ts';

export type What = 'manifest by digest' | 'manifest by tag' | 'blob' | 'small blob' | 'ranges of a blob';

/** One kind of load. */
export interface Case {
  /** Its section in the report. */
  readonly group: Group;
  readonly what: What;
  readonly method: 'GET' | 'HEAD';
  readonly client: ClientKind;
  readonly connections: number;
  /** In what its rate is told: answers or bytes for each second. */
  readonly unit: 'requests' | 'bytes';
  /** Names of those that take part, see `subjects.ts`. */
  readonly subjects: readonly string[];
}

/** `lean` is the client that reads into one large buffer. */
export type ClientKind = 'wrk -t1' | 'wrk -t2' | 'lean';

export const groups = ['manifests', 'access log', 'blobs', 'ranges', 'TLS'] as const;
export type Group = (typeof groups)[number];

const plain: readonly string[] = ['onepull', 'onepull, no threads', 'nginx', 'varnish', 'distribution'];
const secure: readonly string[] = ['onepull, TLS', 'nginx, TLS'];

/** All of a run, in the order in which they are measured. */
export function casesOf(parameters: Parameters): Case[] {
  return [...manifests(parameters), ...blobs(parameters), ...ranges(parameters), ...tls(parameters)];
}

/** A name that says it all; no two cases of a run have the same. */
export function caseName({ group, method, what, client, connections }: Case): string {
  const note = group === 'access log' || group === 'TLS' ? ` (${group})` : '';
  return `${method} ${what}, ${client} -c${connections}${note}`;
}

function manifests({ manifestConnections }: Parameters): Case[] {
  const base = { group: 'manifests', client: 'wrk -t1', unit: 'requests', subjects: plain } as const;
  const names = ['manifest by digest', 'manifest by tag'] as const;
  const gets = manifestConnections.flatMap((connections) =>
    names.map((what): Case => ({ ...base, what, method: 'GET', connections })),
  );
  // wrk waits for the body that a Content-Length announces, which HEAD never brings.
  const heads = names.map((what): Case => {
    return { ...base, what, method: 'HEAD', client: 'lean', connections: manifestsAt };
  });
  const logged: Case = {
    ...base,
    group: 'access log',
    what: 'manifest by digest',
    method: 'GET',
    connections: manifestsAt,
    subjects: ['onepull, logging', 'nginx, logging'],
  };
  return [...gets, ...heads, logged];
}

function blobs({ blobConnections, blobThreads }: Parameters): Case[] {
  const base = { group: 'blobs', method: 'GET', unit: 'bytes', subjects: plain } as const;
  const clients: ClientKind[] = ['lean', ...blobThreads.map((threads) => (threads === 1 ? 'wrk -t1' : 'wrk -t2'))];
  const large = blobConnections.flatMap((connections) =>
    clients.map((client): Case => ({ ...base, what: 'blob', client, connections })),
  );
  return [...large, { ...base, what: 'small blob', client: 'wrk -t1', connections: manifestsAt }];
}

/** Beside the whole bodies of the same clients. */
function ranges({ blobConnections }: Parameters): Case[] {
  const base = { group: 'ranges', what: 'ranges of a blob', method: 'GET', unit: 'bytes', subjects: plain } as const;
  return blobConnections
    .filter((connections) => connections <= 64)
    .flatMap((connections): Case[] => [
      { ...base, client: 'lean', connections },
      { ...base, client: 'wrk -t1', connections },
    ]);
}

function tls({ blobConnections }: Parameters): Case[] {
  const base = { group: 'TLS', method: 'GET', client: 'wrk -t1', subjects: secure } as const;
  return [
    { ...base, what: 'manifest by digest', unit: 'requests', connections: manifestsAt },
    ...blobConnections
      .filter((connections) => connections <= 64)
      .map((connections): Case => ({ ...base, what: 'blob', unit: 'bytes', connections })),
  ];
}
