import { isEmpty, live } from '../state/store.ts';
import { Configurations } from './configurations.tsx';

export function ClientsView() {
  const { status } = live.value;
  return (
    <>
      <h2>Point clients at it</h2>
      <p class="lead">
        Clients speak the ordinary registry API and keep their image names. Where they do not reach this cache, they go
        to the registry itself.
      </p>
      {status !== undefined && <Configurations status={status} />}
    </>
  );
}

/** What there is to do where nothing was pulled yet. */
export function NextStep() {
  const { status } = live.value;
  if (!isEmpty.value || status === undefined) return null;
  return (
    <section class="next-step" aria-labelledby="next-step">
      <h2 id="next-step">Nothing was pulled through it yet</h2>
      <p class="lead">
        Point a client here, then pull anything with it: it shows up above while it arrives, and stays in the cache for
        the next one.
      </p>
      <Configurations status={status} />
    </section>
  );
}
