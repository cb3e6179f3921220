import { useComputed, useSignal } from '@preact/signals';
import { useMemo, useRef } from 'preact/hooks';
import type { FlightSnapshot } from '../../flights/flight-snapshot.ts';
import type { PullSnapshot } from '../../pull/pull-board.ts';
import { count, rate } from '../format/amounts.ts';
import { Figure } from '../parts/figure.tsx';
import { More } from '../parts/more.tsx';
import { live, serverNowMs } from '../state/store.ts';
import { EndedPulls } from './ended-pulls.tsx';
import { OtherFlights } from './other-flights.tsx';
import { PullCard } from './pull-card.tsx';
import { flightsByDigest, isUnderWay } from './pull-figures.ts';
import { isOnItsWay, PullOrder } from './pull-order.ts';

const openWhileFewer = 4;

export function NowView() {
  const order = useMemo(() => new PullOrder(), []);
  const seen = useRef(new Map<string, boolean>());
  const filter = useSignal('');
  const pulls = useComputed(() => order.update(live.value.pulls ?? [], serverNowMs.value));
  const flights = live.value.flights ?? [];
  const byDigest = useMemo(() => flightsByDigest(flights), [flights]);
  const wanted = filter.value.trim().toLowerCase();
  const fits = ({ image }: PullSnapshot) => image.toLowerCase().includes(wanted);
  const active = pulls.value.active.filter(fits);
  // What has just ended is still shown among them, and is not counted.
  const onTheirWay = useMemo(() => pulls.value.active.filter(isOnItsWay).length, [pulls.value]);
  /** Few pulls show their layers; in a crowd, those that come later stay small. Decided once for each. */
  const opens = (pull: PullSnapshot, place: number) => {
    const known = seen.current.get(pull.id) ?? place < openWhileFewer;
    seen.current.set(pull.id, known);
    return known;
  };
  return (
    <>
      <Summary flights={flights} images={onTheirWay} />
      <div class="filter">
        <label>
          <span>Filter by name</span>
          <input type="search" value={filter.value} onInput={(event) => (filter.value = event.currentTarget.value)} />
        </label>
      </div>
      <section aria-labelledby="in-progress">
        <h2 id="in-progress">
          In progress <span class="tally num">{count(onTheirWay)}</span>
        </h2>
        {active.length === 0 ? (
          <p class="nothing">
            {wanted === '' ? 'No image is being pulled right now.' : 'No pull in progress has this in its name.'}
          </p>
        ) : (
          <More items={active} step={40} what="pull">
            {(shown) => (
              <ul class="pulls">
                {shown.map((pull, place) => (
                  <li key={pull.id}>
                    <PullCard pull={pull} flights={byDigest} opens={opens(pull, place)} />
                  </li>
                ))}
              </ul>
            )}
          </More>
        )}
      </section>
      <OtherFlights flights={flights} pulls={live.value.pulls ?? []} filter={wanted} />
      <EndedPulls pulls={pulls.value.ended.filter(fits)} />
    </>
  );
}

function Summary({ flights, images }: { readonly flights: readonly FlightSnapshot[]; readonly images: number }) {
  const current = flights.filter(isUnderWay);
  const sum = (value: (flight: FlightSnapshot) => number) =>
    current.reduce((total, flight) => total + value(flight), 0);
  return (
    <dl class="figures">
      <Figure name="Images on their way" value={count(images)} />
      <Figure name="Transfers" value={count(current.length)} />
      <Figure name="Responses that wait" value={count(sum((flight) => flight.waiters))} />
      <Figure name="Arriving" value={rate(sum((flight) => flight.rateBytesPerSecond))} />
    </dl>
  );
}
