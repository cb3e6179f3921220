import type { z } from 'zod';
import { type Address, isLoopback } from '../core/address.ts';
import { type EngineAddress, engineAddress } from '../core/engine-address.ts';

/** What could be guessed is no secret. */
export const leastSecretLength = 16;

/** Rules also run over sections with refused values in them, so they see what came. */
type Given = Readonly<Record<string, unknown>>;

/** What of the section `cluster` does not go together. Without an engine nothing of it counts. */
export function checkCluster(section: unknown, context: z.RefinementCtx): void {
  const given = sectionOf(section);
  if (typeof given.engine !== 'string') return;
  const refuse = (path: string[], message: string, hint: string) =>
    context.addIssue({ code: 'custom', path, message, params: { hint } });
  const engine = engineAddress(given.engine);
  if (typeof engine === 'string') refuse(['engine'], engine, 'such as redis://10.0.0.5:6379');
  else checkEngine(given, engine, refuse);
  if (typeof given.prefix === 'string' && /[\s{}]/.test(given.prefix)) {
    refuse(['prefix'], 'has spaces or braces in it', 'such as onepull');
  }
  checkPeer(sectionOf(given.peer), refuse);
}

type Refuse = (path: string[], message: string, hint: string) => void;

function checkEngine(
  { tls, sentinelUsername, sentinelPasswordFile }: Given,
  engine: EngineAddress,
  refuse: Refuse,
): void {
  if (!engine.isTls && Object.values(sectionOf(tls)).some((file) => file !== undefined)) {
    refuse(['tls'], 'is given, but the engine is not asked over TLS', 'write rediss:// in engine, or leave tls out');
  }
  const forSentinels = { sentinelUsername, sentinelPasswordFile };
  for (const [name, value] of Object.entries(forSentinels)) {
    if (value === undefined || engine.kind === 'sentinel') continue;
    refuse([name], 'is given, but the engine has no Sentinels', 'redis+sentinel://host,host/name has; or leave it out');
  }
}

function checkPeer({ secret, secretFile, tls, listen, advertise }: Given, refuse: Refuse): void {
  if (typeof secret === 'string' && secret.length < leastSecretLength) {
    const message = `is shorter than ${leastSecretLength} characters`;
    refuse(['peer', 'secret'], message, 'for example: openssl rand -base64 32');
  }
  const { ca, cert } = sectionOf(tls);
  if (ca !== undefined && cert === undefined) {
    refuse(['peer', 'tls'], 'has ca without cert', 'give the certificate that this node shows to others, and its key');
  }
  if (typeof advertise === 'string') checkAdvertise(advertise, cert !== undefined, refuse);
  const isKnown = secret !== undefined || secretFile !== undefined || ca !== undefined;
  if (isKnown || isLoopbackAddress(listen)) return;
  const message = 'lets anybody read what this node has: without a secret or a ca it may listen on loopback only';
  refuse(['peer'], message, 'give a secret or secretFile, or tls with ca; or listen on 127.0.0.1');
}

function checkAdvertise(advertise: string, speaksTls: boolean, refuse: Refuse): void {
  const url = URL.parse(advertise);
  if (url === null) return;
  if (speaksTls && url.protocol === 'http:') {
    refuse(['peer', 'advertise'], 'says http where this node speaks HTTPS (peer.tls)', `https://${url.host}`);
  }
  if (['0.0.0.0', '[::]'].includes(url.hostname)) {
    refuse(['peer', 'advertise'], 'is no address that other nodes can reach', 'such as http://10.0.0.7:5002');
  }
}

function isLoopbackAddress(listen: unknown): boolean {
  return typeof listen === 'object' && listen !== null && isLoopback((listen as Address).host);
}

function sectionOf(value: unknown): Given {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Given) : {};
}
