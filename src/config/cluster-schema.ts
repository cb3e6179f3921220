import { z } from 'zod';
import { engineAddress } from '../core/engine-address.ts';
import { checkCluster } from './cluster-rules.ts';
import { address, duration, file, integer, secret, text, url } from './setting.ts';
import { checkTls } from './upstream-schema.ts';

/** Nodes that share an engine. Without `engine` there is one node, and nothing else here counts. */
export const cluster = z
  .strictObject({
    engine: secret().optional().meta({
      description:
        'Redis or Valkey that nodes share: `redis://host:6379`; `rediss` for TLS, `redis+sentinel://host,host/name`, `redis+cluster://host,host`. Left out: this node is alone.',
      form: 'URL',
    }),
    username: text().optional().describe("The engine's user, instead of the one in the URL."),
    passwordFile: file().optional().describe("File that holds the engine's password, instead of the one in the URL."),
    sentinelUsername: text().optional().describe('The user for the Sentinels themselves, where they want one.'),
    sentinelPasswordFile: file()
      .optional()
      .describe('File that holds the password for the Sentinels themselves, where they want one.'),
    tls: z
      .strictObject({
        ca: file().optional().describe('PEM file with the certificate authorities to trust for the engine.'),
        cert: file().optional().describe('PEM file with the client certificate for the engine, with `key`.'),
        key: file().optional().describe("PEM file with that certificate's key."),
      })
      .superRefine(checkTls, { when: () => true })
      .prefault({}),
    timeout: duration({ min: '5ms', max: '10s' })
      .prefault('80ms')
      .describe(
        'A call to the engine that takes longer is given up, and the node goes on without: so much may its absence cost a request, once a second.',
      ),
    prefix: text()
      .prefault('onepull')
      .describe('What all keys in the engine begin with. Nodes that are to share their pulls have the same.'),
    nodeId: text().optional().describe('What this node is called. Left out: the name of the host.'),
    zone: text()
      .optional()
      .describe('Nodes of one zone read from each other before they read from another zone, which is crossed once.'),
    peer: z
      .strictObject({
        listen: address(5002)
          .prefault('0.0.0.0:5002')
          .describe('Where other nodes ask this one for what it has. Not for clients.'),
        advertise: url()
          .optional()
          .describe(
            "Where other nodes reach that. Left out: the address of `listen`, or this machine's first one where that is any.",
          ),
        secret: secret()
          .optional()
          .meta({
            description: 'What all nodes know and nobody else: requests are signed with it. At least 16 characters.',
            rivals: ['secretFile'],
          }),
        secretFile: file()
          .optional()
          .meta({ description: 'File that holds the secret.', rivals: ['secret'] }),
        tls: z
          .strictObject({
            cert: file()
              .optional()
              .describe(
                'PEM file with the certificate that this node shows to others, with `key`. Then nodes speak HTTPS.',
              ),
            key: file().optional().describe('PEM file with its private key.'),
            ca: file()
              .optional()
              .describe('PEM file with the authority whose certificates nodes show each other (mutual TLS).'),
          })
          .superRefine(checkTls, { when: () => true })
          .prefault({}),
        maxChildren: integer(1, 64)
          .prefault(4)
          .describe('Nodes that this one sends one blob to at once, at most; others read from those.'),
      })
      .prefault({}),
  })
  .superRefine(checkCluster, { when: () => true })
  .prefault({});

type Input = z.output<typeof cluster>;

/** As the program runs with it; undefined: there is one node. */
export function toCluster({
  engine,
  username,
  passwordFile,
  tls,
  timeout,
  prefix,
  nodeId,
  zone,
  peer,
  ...more
}: Input) {
  const parsed = engine === undefined ? undefined : engineAddress(engine);
  if (parsed === undefined || typeof parsed === 'string') return undefined;
  return {
    engine: parsed,
    username,
    passwordFile,
    sentinel: { username: more.sentinelUsername, passwordFile: more.sentinelPasswordFile },
    tls: { caFile: tls.ca, certFile: tls.cert, keyFile: tls.key },
    timeoutMs: timeout,
    prefix,
    nodeId,
    zone,
    peer: {
      listen: peer.listen,
      advertise: peer.advertise,
      secret: peer.secret,
      secretFile: peer.secretFile,
      tls: { caFile: peer.tls.ca, certFile: peer.tls.cert, keyFile: peer.tls.key },
      maxChildren: peer.maxChildren,
    },
  };
}
