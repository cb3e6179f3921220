import type { FlightSnapshot } from '../../flights/flight-snapshot.ts';
import type { LayerSnapshot, PullSnapshot } from '../../pull/pull-board.ts';
import { counted, percent, rate, size } from '../format/amounts.ts';
import { nodeName } from '../format/names.ts';

export type FlightsByDigest = ReadonlyMap<string, FlightSnapshot>;

/** The flight of each digest that began last: the one in progress, if there is one. They come in that order. */
export function flightsByDigest(flights: readonly FlightSnapshot[]): FlightsByDigest {
  const byDigest = new Map<string, FlightSnapshot>();
  for (const flight of flights) if (!byDigest.has(flight.digest)) byDigest.set(flight.digest, flight);
  return byDigest;
}

/** Those of the layers of a pull. */
export function flightsOf({ layers }: Pick<PullSnapshot, 'layers'>, flights: FlightsByDigest): FlightsByDigest {
  const own = new Map<string, FlightSnapshot>();
  for (const { digest } of layers) {
    const flight = flights.get(digest);
    if (flight !== undefined) own.set(digest, flight);
  }
  return own;
}

export function areSameFlights(one: FlightsByDigest, other: FlightsByDigest): boolean {
  if (one.size !== other.size) return false;
  for (const [digest, flight] of one) if (other.get(digest) !== flight) return false;
  return true;
}

export function isUnderWay({ state }: Pick<FlightSnapshot, 'state'>): boolean {
  return state !== 'done' && state !== 'failed';
}

/** The state of a pull as a whole, as it is shown: what is missing of an image looks as a layer that is. */
export function pullState({ state }: Pick<PullSnapshot, 'state'>): LayerSnapshot['state'] {
  return state === 'incomplete' ? 'missing' : state;
}

/** What a pull is about as a whole, in words. */
export function pullWords(pull: PullSnapshot): string {
  if (pull.state === 'done') return pull.waiters > 0 ? 'served from the cache' : 'done';
  if (pull.state === 'incomplete') {
    const here = pull.layers.filter(({ state }) => state === 'done').length;
    return `${here} of ${counted(pull.layers.length, 'layer')} here, nobody asks for the rest`;
  }
  return pull.state;
}

export function layerWords(layer: LayerSnapshot): string {
  switch (layer.state) {
    case 'waiting':
      return `waiting${layer.waitingFor === undefined ? '' : ` for ${layer.waitingFor}`}`;
    case 'pulling':
      return `pulling, ${percent(layer.filledBytes, layer.sizeBytes)}`;
    case 'failed':
      return `failed: ${layer.error ?? 'the cause is not known any more'}`;
    case 'missing':
      return 'not here, nobody asks for it';
    case 'verifying':
    case 'done':
      return layer.state;
  }
}

/** The image's rate, and where its bytes come from now. */
export function pullSources(
  pull: PullSnapshot,
  flights: FlightsByDigest,
): { readonly bytesPerSecond: number; readonly sources: readonly string[]; readonly connections: number } {
  const own = pull.layers.flatMap(({ digest }) => flights.get(digest) ?? []).filter(isUnderWay);
  return {
    bytesPerSecond: own.reduce((sum, { rateBytesPerSecond }) => sum + rateBytesPerSecond, 0),
    sources: [...new Set(own.flatMap(({ ranges }) => ranges.map(({ source }) => sourceName(source))))],
    connections: own.reduce((sum, { ranges }) => sum + ranges.length, 0),
  };
}

/** `64 waiting`, and from how many machines: the addresses are named up to a bound. */
export function crowdWords({ waiters, clients }: Pick<PullSnapshot, 'waiters' | 'clients'>): string {
  if (waiters === 0) return 'nobody waits';
  const named = clients.length >= 20 ? '20 or more addresses' : counted(clients.length, 'address', 'addresses');
  return `${counted(waiters, 'response')} to ${named}`;
}

/** What it took, from upstream or from other nodes. */
export function fetchedWords({ upstreamRequests, upstreamBytes, peerBytes }: PullSnapshot): string {
  const fromPeers = peerBytes === 0 ? [] : [`${size(peerBytes)} from other nodes`];
  const fromUpstream =
    upstreamRequests === 0 ? [] : [`${size(upstreamBytes)} in ${counted(upstreamRequests, 'request')}`];
  return [...fromUpstream, ...fromPeers].join(', ') || 'nothing';
}

/** `peer edge-2` of `peer edge-2#5f1c02aa`. */
export function sourceName(source: string): string {
  return source.startsWith('peer ') ? nodeName(source) : source;
}

export function flightWords(flight: FlightSnapshot): string {
  if (flight.state === 'waiting') return `waiting${flight.waitingFor === undefined ? '' : ` for ${flight.waitingFor}`}`;
  if (flight.state === 'failed') return `failed: ${flight.error ?? 'the cause is not known any more'}`;
  if (flight.state !== 'pulling') return flight.state;
  const share =
    flight.sizeBytes === undefined ? size(flight.filledBytes) : percent(flight.filledBytes, flight.sizeBytes);
  return `pulling, ${share}, ${rate(flight.rateBytesPerSecond)}`;
}
