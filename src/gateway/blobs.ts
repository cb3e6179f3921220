import type { Clock } from '../core/clock.ts';
import type { Digest } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import type { Scope } from '../core/scope.ts';
import { abandonable } from '../core/shared-calls.ts';
import type { BlobAnswer, BlobRequest, Depot } from '../pull/depot.ts';
import type { BlockReads } from './blocks/block-reads.ts';
import { BodyWriter } from './body-writer.ts';
import { applicableRange, noneMatchNames } from './conditional.ts';
import { type Content, contentHeaders, validatorHeaders } from './content-headers.ts';
import type { Exchange } from './exchange.ts';
import type { Hits } from './hits/hit-depot.ts';
import type { ContentAsk } from './hits/judged-heads.ts';
import { manifestForm, manifestResponse } from './manifest-response.ts';
import { conditionsOf } from './manifests.ts';
import type { BlobRoute } from './route.ts';
import type { SharedReads } from './shared-reads.ts';

export interface BlobDeps {
  readonly depot: Pick<Depot, 'blob'>;
  readonly hits?: Hits;
  readonly reads: SharedReads;
  readonly blocks?: BlockReads | undefined;
  readonly clock: Clock;
}

/** GET and HEAD `/v2/<name>/blobs/<digest>` (distribution-spec "Pulling blobs"). What is in memory is sent at once. */
export function serveBlob(
  exchange: Exchange,
  { digest }: BlobRoute,
  scope: Scope,
  deps: BlobDeps,
): Promise<void> | undefined {
  const { hits } = deps;
  const { headers } = exchange.request;
  const unchanged = noneMatchNames(headers['if-none-match'], digest);
  const noted = exchange.head || unchanged ? 'HEAD' : 'GET';
  const known = hits?.knownBlob(hits.blobKey(scope, digest), digest, noted);
  if (hits === undefined || known === undefined) return serveOfDepot(exchange, scope, digest, unchanged, deps);
  hits.given(known, noted);
  const method = exchange.head ? 'HEAD' : 'GET';
  const ask: ContentAsk = {
    ...{ scope, reference: { kind: 'digest', digest }, accept: undefined, method },
    ...conditionsOf(headers),
  };
  exchange.served = 'hit';
  const { status, headers: sent, bytes } = manifestResponse(manifestForm(ask, known.answer), 'digest', known.answer);
  exchange.send(status, sent, bytes);
  exchange.judged = { route: 'blob', ask, noted };
  return undefined;
}

async function serveOfDepot(
  exchange: Exchange,
  scope: Scope,
  digest: Digest,
  unchanged: boolean,
  deps: BlobDeps,
): Promise<void> {
  const { client, head, trace } = exchange;
  const { headers } = exchange.request;
  const content: Content = { digest, mediaType: 'application/octet-stream', namedBy: 'digest' };
  // The digest alone would do to say 304; but only who may read the repository is told that it has the blob (P9).
  if (head || unchanged) {
    const answer = await ask(exchange, deps.depot, { scope, digest, method: 'HEAD', range: undefined, client, trace });
    if (answer.kind === 'body') answer.body.close();
    exchange.served = answer.kind === 'unsatisfiable' ? undefined : answer.served;
    if (unchanged) return exchange.send(304, validatorHeaders(content));
    return exchange.send(200, contentHeaders(content, answer.sizeBytes, undefined));
  }
  const range = applicableRange(headers, digest);
  const request: BlobRequest = { scope, digest, method: 'GET', range, client, trace };
  const answer = deps.hits?.leasedBlob(request) ?? (await ask(exchange, deps.depot, request));
  if (answer.kind === 'head') throw new AppError('INTERNAL', 'a blob was asked with GET and came without a body');
  if (answer.kind === 'unsatisfiable') {
    const { sizeBytes } = answer;
    throw new AppError('RANGE_UNSATISFIABLE', 'the range begins after the end', { details: { sizeBytes } });
  }
  exchange.served = answer.served;
  return sendBody(exchange, content, answer, deps);
}

/** The depot's answer; one that comes when nobody waits any more is closed. */
async function ask(exchange: Exchange, depot: BlobDeps['depot'], request: BlobRequest): Promise<BlobAnswer> {
  const answer = depot.blob(request, exchange.signal);
  try {
    return await abandonable(answer, exchange.signal);
  } catch (error) {
    answer.then(
      (late) => late.kind === 'body' && late.body.close(),
      () => {},
    );
    throw error;
  }
}

/** A secure socket makes a copy of all that it is handed, and larger pieces go no faster. */
const mostSecureBytes = 128 * 1024;

function sendBody(
  exchange: Exchange,
  content: Content,
  { sizeBytes, part, body }: Extract<BlobAnswer, { kind: 'body' }>,
  deps: BlobDeps,
): Promise<void> {
  const status = part === undefined ? 200 : 206;
  const headers = contentHeaders(content, sizeBytes, part);
  const writer = new BodyWriter(
    deps,
    {
      signal: exchange.signal,
      pace: exchange.pace,
      mostBytes: exchange.isSecure ? mostSecureBytes : undefined,
      begin: (alone) => exchange.begin(status, headers, alone),
      write: (block, taken) => {
        // A block of a file is the pool's, which counts it.
        if (body.storage.kind === 'memory') exchange.holds(body.storage.bytes);
        exchange.write(block, taken);
      },
      end: () => exchange.end(),
    },
    body,
    sizeBytes,
  );
  // With the size the headers are complete, and a client that has them goes on waiting (P2). Without it we could only
  // promise a body of which nothing is known.
  if (sizeBytes !== undefined) exchange.whenHeadersDue(() => writer.beginNow());
  return writer.run();
}
