import type { IncomingMessage } from 'node:http';
import { LRUCache } from 'lru-cache';
import type { Reference } from '../../core/reference.ts';
import type { Scope } from '../../core/scope.ts';
import type { ManifestConditions } from '../manifest-response.ts';

/** What a request for a manifest or a blob asked, as it was judged. */
export interface ContentAsk extends ManifestConditions {
  readonly scope: Scope;
  readonly reference: Reference;
  readonly accept: string | undefined;
}

/** A request head that was judged before, and what the same bytes ask again. */
export interface JudgedHead {
  readonly route: 'manifest' | 'blob';
  readonly ask: ContentAsk;
  /** As what it is noted when it is answered. */
  readonly noted: 'GET' | 'HEAD';
  /** Under which its answer is remembered. */
  readonly key: string;
  /** For the log. */
  readonly path: string;
  readonly named: string;
  readonly userAgent: string | undefined;
}

/** Longer heads are none that a puller sends a thousand times. */
export const maxHeadBytes = 4096;
const maxHeads = 4096;
const maxTotalBytes = 4 * 1024 * 1024;

/**
 * Requests with one of these go to node:http each time: they have a body, change the connection, or are somebody's own.
 * Credentials are not kept in memory for longer than their request either. A place in a trace is that of one request.
 */
const excluded = [
  'content-length',
  'transfer-encoding',
  'expect',
  'upgrade',
  'trailer',
  'te',
  'authorization',
  'proxy-authorization',
  'cookie',
  'traceparent',
];

/**
 * One head and nothing else: what came with a request in one chunk may hold another one that node:http took for an error,
 * or for none of ours (CONNECT).
 */
const oneHead = /^[A-Z]+ [^\s]+ HTTP\/1\.1\r\n(?:[^\r\n]+\r\n)+\r\n$/;

/** Whether these bytes, of which node:http made that request, are so plain that they may be taken for the same again. */
export function isPlain(text: string, { method, httpVersion, headers }: IncomingMessage): boolean {
  if (httpVersion !== '1.1' || (method !== 'GET' && method !== 'HEAD')) return false;
  const { connection } = headers;
  if (connection !== undefined && connection.toLowerCase() !== 'keep-alive') return false;
  return oneHead.test(text) && excluded.every((name) => headers[name] === undefined);
}

/** The heads that node:http has parsed and that the handler has answered, byte for byte. Bounded. */
export class JudgedHeads {
  readonly #heads = new LRUCache<string, JudgedHead>({
    max: maxHeads,
    maxSize: maxTotalBytes,
    sizeCalculation: (_head, text) => text.length,
  });

  get(text: string): JudgedHead | undefined {
    return this.#heads.get(text);
  }

  add(text: string, head: JudgedHead): void {
    this.#heads.set(text, head);
  }
}
