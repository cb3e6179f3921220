import { type Address, addressText, isLoopback, isWildcard, parseAddress } from '../core/address.ts';
import type { WaysToTell } from './cache-facts.ts';

/** What is known of where a cache is. */
export interface CachePlace {
  readonly listen: Address;
  /** The host by which its admin API was reached, if it was. */
  readonly askedAt: string | undefined;
  /** The name of the machine on which this runs, where that may be the cache's. */
  readonly machine: string | undefined;
}

export interface CacheAddress {
  /** `host:port`. */
  readonly address: string;
  /** What there is to say of it, in sentences. */
  readonly notes: readonly string[];
}

/**
 * Where clients reach a cache, as far as can be told: where it listens; else, if that is everywhere, by the name it was asked by.
 * By loopback it is asked on its own machine, so that one's name is better.
 */
export function cacheAddress({ listen, askedAt, machine }: CachePlace, ways: WaysToTell): CacheAddress {
  if (!isWildcard(listen.host)) {
    const notes = isLoopback(listen.host) ? ['It listens on loopback: only clients on its own machine reach it.'] : [];
    return { address: addressText(listen), notes };
  }
  const isNear = askedAt === undefined || isLoopback(askedAt);
  const host = (isNear ? machine : undefined) ?? askedAt ?? 'localhost';
  const address = addressText({ host, port: listen.port });
  const guess = isLoopback(host) ? `${address} is a guess, for clients on its own machine` : `${address} is a guess`;
  return { address, notes: [`${guess}; ${ways.address} says where clients reach the cache.`] };
}

/** An address that clients can be told, as it is written in configurations; undefined: it is none. */
export function clientAddress(text: string): string | undefined {
  const address = parseAddress(text);
  return address === undefined || address.port === 0 ? undefined : addressText(address);
}

/** Of an address that is none, what would be one. */
export const addressHint = 'host:port, such as cache.example:5000';
