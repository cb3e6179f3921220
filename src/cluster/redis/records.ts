import { parseDigest } from '../../core/digest.ts';
import { type FillLoad, fillPlaces, type Member, type NodeFacts, type SharedPause } from '../coordinator.ts';

type Json = Readonly<Record<string, unknown>>;

/** What a node of any version wrote of itself; undefined where that is nothing this one can use. */
export function parseMember(text: string): Pick<Member, 'node' | 'load'> | undefined {
  const json = parseJson(text);
  const node = parseNode(objectOf(json?.node));
  if (node === undefined) return undefined;
  const { children, fills } = objectOf(json?.load) ?? {};
  const known = (Array.isArray(fills) ? fills : []).map((fill) => parseFill(objectOf(fill)));
  return {
    node,
    load: {
      children: typeof children === 'number' ? children : 0,
      fills: known.filter((fill) => fill !== undefined),
    },
  };
}

/** A rest as a node of any version wrote it down; undefined where that is nothing this one can use. */
export function parsePause(text: string): Omit<SharedPause, 'leftMs'> | undefined {
  const { upstream, endpoint, what, status } = parseJson(text) ?? {};
  if (typeof upstream !== 'string' || typeof endpoint !== 'string' || typeof what !== 'string') return undefined;
  return { upstream, endpoint, what, status: typeof status === 'number' ? status : 429 };
}

function parseNode(json: Json | undefined): NodeFacts | undefined {
  const { id, name, zone, address, protocol, version } = json ?? {};
  if (typeof id !== 'string' || typeof address !== 'string') return undefined;
  return {
    id,
    name: typeof name === 'string' ? name : id,
    zone: typeof zone === 'string' ? zone : undefined,
    address,
    protocol: typeof protocol === 'number' ? protocol : 1,
    version: typeof version === 'string' ? version : '',
  };
}

function parseFill(json: Json | undefined): FillLoad | undefined {
  const { digest, sizeBytes, filledBytes, leads, parents, place } = json ?? {};
  const parsed = typeof digest === 'string' ? parseDigest(digest) : undefined;
  if (parsed === undefined) return undefined;
  const known = fillPlaces.find((one) => one === place);
  return {
    digest: parsed,
    sizeBytes: typeof sizeBytes === 'number' ? sizeBytes : undefined,
    filledBytes: typeof filledBytes === 'number' ? filledBytes : 0,
    leads: leads === true,
    ...(known === undefined ? {} : { place: known }),
    parents: Array.isArray(parents) ? parents.filter((parent) => typeof parent === 'string') : [],
  };
}

function parseJson(text: string): Json | undefined {
  try {
    return objectOf(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function objectOf(value: unknown): Json | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
}
