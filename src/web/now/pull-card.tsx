import { useMemo, useRef, useState } from 'preact/hooks';
import type { LayerSnapshot, PullSnapshot } from '../../pull/pull-board.ts';
import { count, counted, percent, rate, size } from '../format/amounts.ts';
import { Fan } from '../parts/fan.tsx';
import { ImageName } from '../parts/image-name.tsx';
import { More } from '../parts/more.tsx';
import { StateMark, shareOf } from '../parts/progress.tsx';
import { Ago } from '../parts/time.tsx';
import { LayerRow } from './layer-row.tsx';
import {
  areSameFlights,
  crowdWords,
  type FlightsByDigest,
  fetchedWords,
  flightsOf,
  pullSources,
  pullState,
  pullWords,
} from './pull-figures.ts';

interface PullCardProps {
  readonly pull: PullSnapshot;
  readonly flights: FlightsByDigest;
  /** Its layers are shown until the reader says otherwise. Looked at once: a card does not open or close by itself. */
  readonly opens: boolean;
}

/** Drawn anew when the pull has changed, or one of its transfers, not whenever some other pull has. */
export function PullCard({ pull, flights, opens }: PullCardProps) {
  const known = useRef<FlightsByDigest>(new Map());
  const own = flightsOf(pull, flights);
  if (!areSameFlights(known.current, own)) known.current = own;
  const { current } = known;
  return useMemo(() => <Card pull={pull} flights={current} opens={opens} />, [pull, current]);
}

function Card({ pull, flights, opens }: PullCardProps) {
  const [isOpen, setOpen] = useState(opens);
  const state = pullState(pull);
  const words = pullWords(pull);
  const failure = pull.layers.find(({ state }) => state === 'failed')?.error;
  return (
    <article class="pull" aria-label={pull.image}>
      <Fan waiters={pull.waiters} state={state} />
      <h3 class="pull-title">
        <ImageName image={pull.image} />
      </h3>
      <p class="pull-amount num">
        <b>{percent(pull.filledBytes, pull.sizeBytes)}</b>{' '}
        <span class="dim">
          {size(pull.filledBytes)} of {size(pull.sizeBytes)}
        </span>
      </p>
      <Strip pull={pull} words={words} />
      <div class="pull-facts">
        <StateMark state={state} words={words} />
        <Facts pull={pull} flights={flights} />
      </div>
      {failure !== undefined && !isOpen && <p class="failure">{failure}</p>}
      <button
        type="button"
        class="quiet pull-toggle"
        aria-expanded={isOpen}
        aria-label={`${counted(pull.layers.length, 'layer')} of ${pull.image}`}
        onClick={() => setOpen(!isOpen)}
      >
        {counted(pull.layers.length, 'layer')}
      </button>
      {isOpen && (
        <More items={pull.layers} step={30} what="layer">
          {(shown) => (
            <ul class="layers">
              {shown.map((layer) => (
                <LayerRow key={layer.digest} layer={layer} flight={flights.get(layer.digest)} />
              ))}
            </ul>
          )}
        </More>
      )}
    </article>
  );
}

/** All layers in one bar, each as wide as its share of the bytes. */
function Strip({ pull, words }: { readonly pull: PullSnapshot; readonly words: string }) {
  return (
    <div
      class="strip"
      role="progressbar"
      aria-label={pull.image}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.floor(100 * (shareOf(pull.filledBytes, pull.sizeBytes) ?? 0))}
      aria-valuetext={`${words}, ${percent(pull.filledBytes, pull.sizeBytes)} of ${size(pull.sizeBytes)}`}
    >
      {pull.layers.map((layer) => (
        <Segment key={layer.digest} layer={layer} all={pull.sizeBytes} />
      ))}
    </div>
  );
}

function Segment({ layer, all }: { readonly layer: LayerSnapshot; readonly all: number }) {
  const share = shareOf(layer.filledBytes, layer.sizeBytes) ?? 0;
  return (
    <span
      class={`bar bar-${layer.state}`}
      style={{ flexGrow: String(Math.max(layer.sizeBytes / Math.max(1, all), 0.004)) }}
    >
      <span class="bar-fill" style={{ transform: `scaleX(${Math.min(1, share)})` }} />
    </span>
  );
}

function Facts({ pull, flights }: { readonly pull: PullSnapshot; readonly flights: FlightsByDigest }) {
  const { bytesPerSecond, sources, connections } = pullSources(pull, flights);
  return (
    <dl class="facts">
      <div>
        <dt>Now waiting</dt>
        <dd title={pull.clients.join(', ')}>{crowdWords(pull)}</dd>
      </div>
      <div>
        <dt>Asked for</dt>
        <dd>
          {counted(pull.pulls, 'time')}, first <Ago atMs={pull.firstAskedAtMs} />
        </dd>
      </div>
      <div>
        <dt>Fetched</dt>
        <dd>{fetchedWords(pull)}</dd>
      </div>
      {sources.length > 0 && (
        <div>
          <dt>Comes</dt>
          <dd>
            at {rate(bytesPerSecond)} from {sources.slice(0, 2).join(', ')}
            {sources.length > 2 && ` and ${counted(sources.length - 2, 'other')}`}
            {connections > 1 && `, ${count(connections)} connections`}
          </dd>
        </div>
      )}
    </dl>
  );
}
