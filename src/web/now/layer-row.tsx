import type { FlightSnapshot } from '../../flights/flight-snapshot.ts';
import type { LayerSnapshot } from '../../pull/pull-board.ts';
import { count, counted, rate, size } from '../format/amounts.ts';
import { shortDigest } from '../format/names.ts';
import { Progress, StateMark, shareOf } from '../parts/progress.tsx';
import { isUnderWay, layerWords, sourceName } from './pull-figures.ts';

interface LayerRowProps {
  readonly layer: LayerSnapshot;
  readonly flight: FlightSnapshot | undefined;
}

export function LayerRow({ layer, flight }: LayerRowProps) {
  const words = layerWords(layer);
  const current = flight !== undefined && isUnderWay(flight) ? flight : undefined;
  return (
    <li class="layer">
      <span class="layer-name">
        <span class="layer-kind">{kindOf(layer.mediaType)}</span>{' '}
        <code title={layer.digest}>{shortDigest(layer.digest)}</code>
      </span>
      <Progress
        label={`${kindOf(layer.mediaType)} ${shortDigest(layer.digest)}`}
        state={layer.state}
        share={shareOf(layer.filledBytes, layer.sizeBytes)}
        words={`${words}, of ${size(layer.sizeBytes)}`}
      />
      <span class="layer-size num">{size(layer.sizeBytes)}</span>
      <span class="layer-rate num">
        {layer.state === 'pulling' && current !== undefined && rate(current.rateBytesPerSecond)}
      </span>
      <span class="layer-waiters num">{layer.waiters > 0 && `${count(layer.waiters)} waiting`}</span>
      <span class="layer-state">
        <StateMark state={layer.state} words={words} />
        {current !== undefined && <span class="layer-source"> {sourceWords(current)}</span>}
      </span>
    </li>
  );
}

/** Where it comes from, and what did not go as it should. */
function sourceWords({ state, ranges, attempts }: FlightSnapshot): string {
  const sources = [...new Set(ranges.map(({ source }) => sourceName(source)))];
  const parts = [];
  if (sources.length > 0 && state !== 'waiting') parts.push(`from ${sources.join(', ')}`);
  if (ranges.length > 1) parts.push(`over ${counted(ranges.length, 'connection')}`);
  if (attempts > Math.max(1, ranges.length)) parts.push(counted(attempts, 'attempt'));
  return parts.join(', ');
}

function kindOf(mediaType: string): string {
  return /\b(config|image)\.v1\+json$/.test(mediaType) ? 'config' : 'layer';
}
