import { decideRange, type Interval } from '../core/byte-range.ts';
import { AppError } from '../core/errors.ts';
import type { Reference } from '../core/reference.ts';
import type { ManifestAnswer } from '../pull/depot.ts';
import { applicableRange, noneMatchNames } from './conditional.ts';
import { contentHeaders, validatorHeaders } from './content-headers.ts';

/** What of a request decides how its manifest is answered. */
export interface ManifestConditions {
  readonly method: 'GET' | 'HEAD';
  readonly ifNoneMatch: string | undefined;
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
}

export type ManifestForm = 'unchanged' | 'described' | 'whole' | Interval;

export interface WholeResponse {
  readonly status: number;
  readonly headers: string[];
  readonly bytes: Uint8Array | undefined;
}

/** How the answer is given: as a 304, without its bytes, whole, or in part. Throws what the client is to be told. */
export function manifestForm(conditions: ManifestConditions, { digest, bytes }: ManifestAnswer): ManifestForm {
  if (noneMatchNames(conditions.ifNoneMatch, digest)) return 'unchanged';
  if (conditions.method === 'HEAD') return 'described';
  if (bytes === undefined) throw new AppError('INTERNAL', 'a manifest was asked with GET and came without its bytes');
  const { range, ifRange } = conditions;
  const decision = decideRange(applicableRange({ range, 'if-range': ifRange }, digest), bytes.length);
  if (decision.kind === 'unsatisfiable') {
    const details = { sizeBytes: bytes.length };
    throw new AppError('RANGE_UNSATISFIABLE', 'the range begins after the end', { details });
  }
  return decision.kind === 'whole' ? 'whole' : decision.range;
}

export function manifestResponse(
  form: ManifestForm,
  namedBy: Reference['kind'],
  { digest, mediaType, sizeBytes, bytes }: ManifestAnswer,
): WholeResponse {
  const content = { digest, mediaType, namedBy };
  if (form === 'unchanged') return { status: 304, headers: validatorHeaders(content), bytes: undefined };
  if (form === 'described') {
    return { status: 200, headers: contentHeaders(content, sizeBytes, undefined), bytes: undefined };
  }
  const size = bytes?.length;
  if (form === 'whole') return { status: 200, headers: contentHeaders(content, size, undefined), bytes };
  const part = bytes?.subarray(form.start, form.end);
  return { status: 206, headers: contentHeaders(content, size, form), bytes: part };
}
