import { useMemo } from 'preact/hooks';
import type { FlightSnapshot } from '../../flights/flight-snapshot.ts';
import type { PullSnapshot } from '../../pull/pull-board.ts';
import { count, counted, size } from '../format/amounts.ts';
import { shortDigest } from '../format/names.ts';
import { More } from '../parts/more.tsx';
import { Progress, StateMark, shareOf } from '../parts/progress.tsx';
import { flightWords, isUnderWay } from './pull-figures.ts';

function outsideOf(pulls: readonly PullSnapshot[], flights: readonly FlightSnapshot[]): FlightSnapshot[] {
  const left = new Map<string, FlightSnapshot>();
  for (const flight of flights) if (isUnderWay(flight) && !left.has(flight.digest)) left.set(flight.digest, flight);
  for (const { layers } of pulls) {
    if (left.size === 0) break;
    for (const { digest } of layers) left.delete(digest);
  }
  return [...left.values()];
}

interface OtherFlightsProps {
  readonly flights: readonly FlightSnapshot[];
  readonly pulls: readonly PullSnapshot[];
  readonly filter: string;
}

/** Transfers of blobs that belong to none of the images that are remembered: asked for by digest, or of very many images. */
export function OtherFlights({ flights, pulls, filter }: OtherFlightsProps) {
  const unknown = useMemo(() => outsideOf(pulls, flights), [pulls, flights]);
  const others = unknown.filter(({ sources }) => filter === '' || sources.some((source) => source.includes(filter)));
  if (others.length === 0) return null;
  return (
    <section aria-labelledby="other-transfers">
      <h2 id="other-transfers">
        Other transfers <span class="tally num">{count(others.length)}</span>
      </h2>
      <More items={others} step={40} what="transfer">
        {(shown) => (
          <ul class="layers panel">
            {shown.map((flight) => (
              <li class="layer" key={flight.digest}>
                <span class="layer-name">
                  <span class="layer-kind">blob</span> <code title={flight.digest}>{shortDigest(flight.digest)}</code>
                </span>
                <Progress
                  label={`blob ${shortDigest(flight.digest)}`}
                  state={flight.state}
                  share={shareOf(flight.filledBytes, flight.sizeBytes)}
                  words={flightWords(flight)}
                />
                <span class="layer-size num">
                  {flight.sizeBytes === undefined ? 'size unknown' : size(flight.sizeBytes)}
                </span>
                <span class="layer-rate num" />
                <span class="layer-waiters num">{counted(flight.waiters, 'waiting', 'waiting')}</span>
                <span class="layer-state">
                  <StateMark state={flight.state} words={flightWords(flight)} />
                  <span class="layer-source"> from {flight.sources.join(', ')}</span>
                </span>
              </li>
            ))}
          </ul>
        )}
      </More>
    </section>
  );
}
