import type { IncomingHttpHeaders } from 'node:http';
import type { Scope } from '../core/scope.ts';
import { abandonable } from '../core/shared-calls.ts';
import type { Depot, ManifestAnswer } from '../pull/depot.ts';
import type { Exchange } from './exchange.ts';
import type { Hits } from './hits/hit-depot.ts';
import type { ContentAsk } from './hits/judged-heads.ts';
import { manifestForm, manifestResponse } from './manifest-response.ts';
import type { ManifestRoute } from './route.ts';

export interface ManifestDeps {
  readonly depot: Pick<Depot, 'manifest'>;
  readonly hits?: Hits;
}

/** GET and HEAD `/v2/<name>/manifests/<reference>` (distribution-spec "Pulling manifests"). */
export function serveManifest(
  exchange: Exchange,
  { reference }: ManifestRoute,
  scope: Scope,
  { depot, hits }: ManifestDeps,
): Promise<void> | undefined {
  const { headers } = exchange.request;
  const { accept } = headers;
  const method = exchange.head ? 'HEAD' : 'GET';
  const ask: ContentAsk = { scope, reference, accept, method, ...conditionsOf(headers) };
  const known = hits === undefined ? undefined : knownAnswer(ask, hits);
  if (known !== undefined) {
    send(exchange, ask, known);
    return undefined;
  }
  const { client, signal, trace } = exchange;
  const asked = abandonable(depot.manifest({ scope, reference, accept, method, client, trace }, signal), signal);
  return asked.then((answer) => send(exchange, ask, answer));
}

export function conditionsOf(headers: IncomingHttpHeaders) {
  const ifRange = headers['if-range'];
  return {
    ifNoneMatch: headers['if-none-match'],
    range: headers.range,
    ifRange: Array.isArray(ifRange) ? ifRange.join(', ') : ifRange,
  };
}

function knownAnswer(ask: ContentAsk, hits: Hits): ManifestAnswer | undefined {
  const key = hits.manifestKey(ask);
  const known = key === undefined ? undefined : hits.known(key);
  if (known === undefined || (ask.method === 'GET' && known.answer.bytes === undefined)) return undefined;
  hits.given(known, ask.method);
  return known.answer;
}

function send(exchange: Exchange, ask: ContentAsk, answer: ManifestAnswer): void {
  exchange.served = answer.served;
  const { status, headers, bytes } = manifestResponse(manifestForm(ask, answer), ask.reference.kind, answer);
  exchange.send(status, headers, bytes);
  exchange.judged = { route: 'manifest', ask, noted: ask.method };
}
