import { decideRange } from '../core/byte-range.ts';
import { AppError } from '../core/errors.ts';
import type { Scope } from '../core/scope.ts';
import { abandonable } from '../core/shared-calls.ts';
import type { Depot } from '../pull/depot.ts';
import { applicableRange, noneMatchNames } from './conditional.ts';
import { contentHeaders, validatorHeaders } from './content-headers.ts';
import type { Exchange } from './exchange.ts';
import type { ManifestRoute } from './route.ts';

/** GET and HEAD `/v2/<name>/manifests/<reference>` (distribution-spec "Pulling manifests"). */
export async function serveManifest(
  exchange: Exchange,
  { reference }: ManifestRoute,
  scope: Scope,
  depot: Pick<Depot, 'manifest'>,
): Promise<void> {
  const { request, client, signal, head } = exchange;
  const { headers } = request;
  const answer = await abandonable(
    depot.manifest({ scope, reference, accept: headers.accept, method: head ? 'HEAD' : 'GET', client }, signal),
    signal,
  );
  exchange.served = answer.served;
  const { digest, mediaType, sizeBytes, bytes } = answer;
  const content = { digest, mediaType, namedBy: reference.kind };
  if (noneMatchNames(headers['if-none-match'], digest)) return exchange.send(304, validatorHeaders(content));
  if (head) return exchange.send(200, contentHeaders(content, sizeBytes, undefined));
  if (bytes === undefined) throw new AppError('INTERNAL', 'a manifest was asked with GET and came without its bytes');
  const decision = decideRange(applicableRange(headers, digest), bytes.length);
  if (decision.kind === 'unsatisfiable') {
    throw new AppError('RANGE_UNSATISFIABLE', 'the range begins after the end', { details: { sizeBytes } });
  }
  if (decision.kind === 'whole') return exchange.send(200, contentHeaders(content, bytes.length, undefined), bytes);
  const { start, end } = decision.range;
  exchange.send(206, contentHeaders(content, bytes.length, decision.range), bytes.subarray(start, end));
}
