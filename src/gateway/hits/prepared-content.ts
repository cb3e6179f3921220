import type { Reference } from '../../core/reference.ts';
import type { ManifestAnswer } from '../../pull/depot.ts';
import { type ManifestForm, manifestResponse } from '../manifest-response.ts';
import { PreparedResponse } from './prepared-response.ts';

/** The responses that a manifest or a small blob is given in, each made when it is first asked for. */
export class PreparedContent {
  readonly #namedBy: Reference['kind'];
  readonly #answer: ManifestAnswer;
  #unchanged: PreparedResponse | undefined;
  #described: PreparedResponse | undefined;
  #whole: PreparedResponse | undefined;
  /** A part that is all of it, which containerd asks for. */
  #all: PreparedResponse | undefined;

  constructor(namedBy: Reference['kind'], answer: ManifestAnswer) {
    this.#namedBy = namedBy;
    this.#answer = answer;
  }

  /** Undefined for a part: there is no end of these. */
  response(form: ManifestForm, keepAlive: string): PreparedResponse | undefined {
    switch (form) {
      case 'unchanged':
        this.#unchanged ??= this.#prepare(form, keepAlive);
        return this.#unchanged;
      case 'described':
        this.#described ??= this.#prepare(form, keepAlive);
        return this.#described;
      case 'whole':
        this.#whole ??= this.#prepare(form, keepAlive);
        return this.#whole;
      default:
        if (form.start > 0 || form.end !== this.#answer.bytes?.length) return undefined;
        this.#all ??= this.#prepare(form, keepAlive);
        return this.#all;
    }
  }

  #prepare(form: ManifestForm, keepAlive: string): PreparedResponse {
    return new PreparedResponse(manifestResponse(form, this.#namedBy, this.#answer), keepAlive);
  }
}
