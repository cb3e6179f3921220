import { z } from 'zod';
import { type Address, addressesCollide } from '../core/address.ts';
import { checkAdminAccess } from './admin-access.ts';
import { cluster, toCluster } from './cluster-schema.ts';
import { address, choice, duration, file, flag, integer, secret, size, text, url } from './setting.ts';
import { checkTls, defaultUpstreams, type UpstreamInput, upstreams } from './upstream-schema.ts';

/**
 * The configuration, once: types, defaults, names of variables and flags, help texts and the reference page all come
 * from here. Every rule runs even where another one failed, so that all problems are told at once.
 */
const input = z
  .strictObject({
    listen: address(5000).prefault('0.0.0.0:5000').meta({
      description: 'Where the OCI distribution API listens. Port `0` lets the system choose.',
      flag: 'listen',
    }),
    admin: address(5001).prefault('127.0.0.1:5001').meta({
      description:
        'Where health, metrics, the admin API and the dashboard listen. Other addresses than loopback need a token.',
      flag: 'admin',
    }),
    adminToken: secret()
      .optional()
      .meta({
        description:
          'What changes (delete, pin, preheat) need to know: `Authorization: Bearer TOKEN`. At least 16 characters. Looking needs none.',
        rivals: ['adminTokenFile'],
      }),
    adminTokenFile: file()
      .optional()
      .meta({ description: 'File that holds the token. Read again for each change.', rivals: ['adminToken'] }),
    storage: z
      .strictObject({
        path: text()
          .prefault('./onepull-data')
          .meta({ description: 'Folder of the cache; made if it is missing.', flag: 'storage' }),
        maxSize: size({ min: '1MiB' })
          .prefault('50GiB')
          .describe('The most that the cache keeps; what was not used for longest leaves first.'),
        scrubRate: size({})
          .prefault('8MiB')
          .describe('How much content is read and hashed again each second, in the background. `0`: none.'),
        verifyAfter: duration({ max: '3650d' })
          .prefault('7d')
          .describe(
            'Content that was not hashed for so long, or since the start, is hashed again while it is served. `0s`: each time.',
          ),
        minFree: size({})
          .prefault('256MiB')
          .describe('Free space that the disk keeps: the cache gives up content of its own before it takes more.'),
      })
      .prefault({}),
    upstreams: upstreams.prefault(defaultUpstreams),
    pull: z
      .strictObject({
        headerTimeout: duration({ min: '10ms', max: '25s' })
          .prefault('25s')
          .describe('The longest that a client waits for the headers of its answer. containerd gives up at 30 s.'),
        stallTimeout: duration({ min: '10ms', max: '1h' })
          .prefault('10s')
          .describe('A connection that brings no byte for so long is replaced.'),
        minProgress: size({ max: '1GiB' })
          .prefault('64KiB')
          .describe(
            'A connection that brings less than this within `stallTimeout` is replaced too. `0`: any byte will do.',
          ),
        outageTimeout: duration({ max: '1h' })
          .prefault('30s')
          .describe(
            'Bodies that are on their way wait so long without a byte for an upstream that fails or is away; then they are cut. Who waits for headers is told sooner.',
          ),
        deadline: duration({ min: '100ms', max: '7d' })
          .prefault('30m')
          .describe('The longest that one pull may take, retries included.'),
        abandon: choice('finish', 'keep', 'discard')
          .prefault('finish')
          .describe(
            'When the last client left a pull: finish it, stop and keep what arrived for the next one, or discard it.',
          ),
        maxRanges: integer(1, 32)
          .prefault(4)
          .describe('Connections that fetch parts of one blob at the same time, at most.'),
        maxSplit: integer(1, 32)
          .prefault(4)
          .describe(
            'Of these, how many may share the work of a large blob where that is faster than one. `1`: never split.',
          ),
        passThroughMemory: size({ max: '64GiB' })
          .prefault('128MiB')
          .describe(
            'Memory to stream what the disk cannot take: blobs larger than the cache, or any if it fails; not of `server.memory`. `0`: refuse.',
          ),
        maxFlights: integer(1, 100_000)
          .prefault(1000)
          .describe('Pulls at the same time at most; one more is refused with 503.'),
      })
      .prefault({}),
    server: z
      .strictObject({
        threads: integer(0, 256)
          .optional()
          .describe(
            'Threads that answer clients. Left out: one for each core that the process may use. `0`: none of their own.',
          ),
        memory: size({ min: '32MiB', max: '1024GiB' })
          .optional()
          .describe(
            'What blocks of hot content, bytes that wait for clients, small blobs, manifests and prepared answers may take together. Left out: a quarter of what the process may use (the limit of its control group, or the memory), at least 32MiB and at most 256MiB. `pull.passThroughMemory` comes on top.',
          ),
        tls: z
          .strictObject({
            cert: file()
              .optional()
              .describe(
                'PEM file with the certificate for `listen`, and its chain. With it clients speak HTTPS. Read again when it changes.',
              ),
            key: file().optional().describe('PEM file with its private key. Read again when it changes.'),
          })
          .superRefine(checkTls, { when: () => true })
          .prefault({}),
        maxConnections: integer(1, 1_000_000)
          .prefault(10_000)
          .describe(
            'Connections of clients at most, of all threads together. An idle one makes room for a new one: of the address that has most, and never for an address that has more than its share.',
          ),
        maxResponses: integer(1, 1_000_000)
          .prefault(5000)
          .describe(
            'Answers under way at the same time, at most; one more is refused with 503 and Retry-After. HEAD has a tenth more.',
          ),
        maxQueued: size({ min: '1MiB', max: '64GiB' })
          .optional()
          .describe(
            'Bytes that wait in memory for clients to take them, at most; beyond it new requests are refused. Left out: three eighths of `server.memory`.',
          ),
        clientTimeout: duration({ min: '10ms', max: '1h' })
          .prefault('2m')
          .describe('A client that neither sends nor takes a byte for so long is cut off.'),
        maxHeaderSize: size({ min: '4KiB', max: '1MiB' })
          .prefault('16KiB')
          .describe("The most that a request's headers may take."),
        shutdownTimeout: duration({ min: '0s', max: '1h' })
          .prefault('30s')
          .describe('How long open answers may go on after the signal to stop.'),
      })
      .prefault({}),
    cluster,
    tracing: z
      .strictObject({
        endpoint: url()
          .optional()
          .describe(
            'An OpenTelemetry collector that takes OTLP over HTTP, such as `http://127.0.0.1:4318`. Left out: nothing is traced.',
          ),
        sampleOneIn: integer(1, 1_000_000)
          .prefault(100)
          .describe('One of so many requests is traced, besides those whose client traces them (`traceparent`).'),
      })
      .prefault({}),
    log: z
      .strictObject({
        level: choice('debug', 'info', 'warn', 'error').prefault('info').describe('The least level that is written.'),
        access: flag().prefault(true).describe('Write one line for each request, when it has ended.'),
      })
      .prefault({}),
  })
  .superRefine(checkAddresses, { when: () => true })
  .superRefine(checkAdminAccess, { when: () => true })
  .superRefine(checkDefaultUpstream, { when: () => true });

export const configSchema = input.transform(toConfig);

/** What the program runs with. Deeply frozen. */
export type Config = DeepReadonly<z.output<typeof configSchema>>;
export type UpstreamConfig = Config['upstreams'][number];

/** How to sign in at an upstream. */
export type Credentials =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  | { readonly kind: 'passwordFile'; readonly username: string; readonly path: string }
  | { readonly kind: 'dockerConfig'; readonly path: string }
  | { readonly kind: 'helper'; readonly name: string };

type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T;

/** The same with units in the names, and with what was left out decided. */
function toConfig(section: z.output<typeof input>) {
  const { listen, admin, adminToken, adminTokenFile, storage, upstreams, pull, server, cluster, tracing, log } =
    section;
  const names = Object.keys(upstreams);
  return {
    listen,
    admin,
    adminToken,
    adminTokenFile,
    storage: {
      path: storage.path,
      maxSizeBytes: storage.maxSize,
      scrubBytesPerSecond: storage.scrubRate,
      verifyAfterMs: storage.verifyAfter,
      minFreeBytes: storage.minFree,
    },
    upstreams: names.flatMap((name) => {
      const section = upstreams[name];
      return section === undefined ? [] : [toUpstream(name, section, names.length === 1)];
    }),
    pull: {
      headerTimeoutMs: pull.headerTimeout,
      stallTimeoutMs: pull.stallTimeout,
      outageTimeoutMs: pull.outageTimeout,
      deadlineMs: pull.deadline,
      abandon: pull.abandon,
      minProgressBytes: pull.minProgress,
      maxRanges: pull.maxRanges,
      maxSplit: pull.maxSplit,
      passThroughBytes: pull.passThroughMemory,
      maxFlights: pull.maxFlights,
    },
    server: {
      threads: server.threads,
      memoryBytes: server.memory,
      tls: { certFile: server.tls.cert, keyFile: server.tls.key },
      maxConnections: server.maxConnections,
      maxResponses: server.maxResponses,
      maxQueuedBytes: server.maxQueued,
      clientTimeoutMs: server.clientTimeout,
      maxHeaderSizeBytes: server.maxHeaderSize,
      shutdownTimeoutMs: server.shutdownTimeout,
    },
    cluster: toCluster(cluster),
    tracing,
    log,
  };
}

function toUpstream(name: string, section: UpstreamInput, alone: boolean) {
  return {
    /** The registry's name, as clients write it. */
    name,
    /** Origins (`https://host:port`), at least one, in order of preference. */
    endpoints: section.endpoints ?? (section.url === undefined ? [] : [section.url]),
    isDefault: section.default || alone,
    tagTtlMs: section.tagTtl,
    credentials: toCredentials(section.credentials),
    authRealms: section.authRealms,
    redirectsAllow: section.redirects.allow,
    tls: { caFile: section.tls.ca, certFile: section.tls.cert, keyFile: section.tls.key },
    connections: section.connections,
    connectTimeoutMs: section.connectTimeout,
    headersTimeoutMs: section.headersTimeout,
    hedge: section.hedge,
  };
}

function toCredentials(section: UpstreamInput['credentials']): Credentials | undefined {
  if (section === undefined) return undefined;
  const { username = '', password, passwordFile, dockerConfig, helper } = section;
  if (password !== undefined) return { kind: 'password', username, password };
  if (passwordFile !== undefined) return { kind: 'passwordFile', username, path: passwordFile };
  if (dockerConfig !== undefined) return { kind: 'dockerConfig', path: dockerConfig };
  return helper === undefined ? undefined : { kind: 'helper', name: helper };
}

interface Addresses {
  readonly listen?: Address;
  readonly admin?: Address;
  readonly cluster?: { readonly engine?: string | undefined; readonly peer?: { readonly listen?: Address } };
}

function checkAddresses({ listen, admin, cluster }: Addresses, context: z.RefinementCtx): void {
  const peers = cluster?.engine === undefined ? undefined : cluster.peer?.listen;
  const refuse = (path: string[], other: string) => {
    const params = { hint: 'give it another port' };
    context.addIssue({ code: 'custom', path, message: `is the address of ${other}`, params });
  };
  const collide = (one: Address | undefined, other: Address | undefined) =>
    one?.port !== undefined && other?.port !== undefined && addressesCollide(one, other);
  if (collide(listen, admin)) refuse(['admin'], 'listen');
  if (collide(listen, peers)) refuse(['cluster', 'peer', 'listen'], 'listen');
  else if (collide(admin, peers)) refuse(['cluster', 'peer', 'listen'], 'admin');
}

function checkDefaultUpstream(section: { upstreams?: unknown }, context: z.RefinementCtx): void {
  const { upstreams } = section;
  if (typeof upstreams !== 'object' || upstreams === null) return;
  const entries = Object.entries(upstreams);
  const refuse = (message: string, hint: string) =>
    context.addIssue({ code: 'custom', path: ['upstreams'], message, params: { hint } });
  const chosen = entries.filter(([, upstream]) => upstream?.default === true).map(([name]) => name);
  if (entries.length === 0) refuse('names no registry', 'leave the key out for the public registries');
  else if (chosen.length > 1) refuse(`has several defaults: ${chosen.join(', ')}`, 'keep default: true in one of them');
  else if (chosen.length === 0 && entries.length > 1) refuse('has no default', 'write default: true in one of them');
}
