import type { RequestFailure, Resolved } from './chaos-pull.ts';
import type { FaultLog } from './fault-log.ts';
import type { StoreWatch } from './store-watch.ts';

/** What upstream may say of a tag that it knows no more, or shows to nobody. */
const honest: ReadonlySet<number | undefined> = new Set([401, 403, 404]);

/** The tags that onepull has told clients of. */
export class KnownTags {
  readonly #known = new Map<string, Resolved>();

  /** `name` as `registry/repository:tag`. */
  note(name: string, resolved: Resolved): void {
    this.#known.set(name, resolved);
  }

  /** Whether a HEAD failed that could have been answered: its tag was known, and the manifest in the store all the time. */
  hasToBeServed(
    { what, upstream, repository, reference, startedAt, endedAt, status, outcome }: RequestFailure,
    { log, store }: { readonly log: FaultLog; readonly store: Pick<StoreWatch, 'present' | 'lastArrivalAt'> },
  ): boolean {
    const known = this.#known.get(`${upstream}/${repository}:${reference}`);
    if (what !== 'HEAD manifest' || outcome !== 'status' || known === undefined || known.at >= startedAt) return false;
    if (honest.has(status) || log.during(known.at, endedAt).some(({ fault }) => fault.kind === 'no-catalog'))
      return false;
    const cameAt = store.lastArrivalAt(known.digest);
    return cameAt !== undefined && cameAt < startedAt && store.present.includes(known.digest);
  }
}
