import { useEffect, useMemo, useState } from 'preact/hooks';
import type { Status } from '../../admin/status.ts';
import { count, counted, percent, size } from '../format/amounts.ts';
import { Figure } from '../parts/figure.tsx';
import { Gauge } from '../parts/gauge.tsx';
import { Preheats } from '../preheat/preheats.tsx';
import { live } from '../state/store.ts';
import { ConfirmDialog, type Wish } from './confirm-dialogs.tsx';
import { ImageList, type Order, orders } from './image-list.ts';
import { ImageTable } from './image-table.tsx';

const orderNames: Readonly<Record<Order, string>> = { used: 'Last used', size: 'Largest', age: 'Oldest', name: 'Name' };
const typingPauseMs = 250;

export function CacheView() {
  const list = useMemo(() => new ImageList(), []);
  const [wish, setWish] = useState<Wish>();
  const [done, setDone] = useState('');
  const status = live.value.status;
  const { images, blobs } = status?.cache ?? {};
  const preheated = (live.value.preheats ?? []).reduce((sum, { imageCounts: { done } }) => sum + done, 0);
  // What came or went since is shown, too, and how much of each image is here: the counts tell of it, or a preheat does.
  useEffect(() => {
    void list.load();
  }, [list, images, blobs, preheated]);
  useEffect(() => () => list.close(), [list]);
  return (
    <>
      {status !== undefined && <Room cache={status.cache} />}
      <Preheats />
      <section aria-labelledby="images" tabIndex={-1}>
        <div class="heading-row">
          <h2 id="images">Images</h2>
          <p class="done-words" role="status">
            {done}
          </p>
          <Search list={list} />
        </div>
        <ImageTable list={list} onWish={setWish} />
      </section>
      {wish !== undefined && (
        <ConfirmDialog
          wish={wish}
          list={list}
          onEnd={(words) => {
            setWish(undefined);
            if (words !== undefined) setDone(words);
          }}
        />
      )}
    </>
  );
}

function Room({ cache }: { readonly cache: Status['cache'] }) {
  const { sizeBytes, maxBytes, diskFreeBytes, images, blobs } = cache;
  return (
    <section aria-label="Room">
      <div class="panel room">
        <span>
          <b class="num">{size(sizeBytes)}</b> of {size(maxBytes)}, {percent(sizeBytes, maxBytes)}
        </span>
        <Gauge
          label="Room used"
          share={sizeBytes / Math.max(1, maxBytes)}
          words={`${size(sizeBytes)} of ${size(maxBytes)}`}
        />
      </div>
      <dl class="figures">
        <Figure name="Images" value={images === undefined ? '–' : count(images)} note={counted(blobs, 'blob')} />
        <Figure name="Room left" value={size(Math.max(0, maxBytes - sizeBytes))} note="until the oldest leave" />
        {diskFreeBytes !== undefined && (
          <Figure
            name="Free on the disk"
            value={size(diskFreeBytes)}
            note={diskFreeBytes < maxBytes - sizeBytes ? 'less than the bound allows' : undefined}
          />
        )}
      </dl>
    </section>
  );
}

function Search({ list }: { readonly list: ImageList }) {
  const { search, sort } = list.query.value;
  const [typed, setTyped] = useState(search);
  useEffect(() => {
    if (typed === list.query.value.search) return;
    const timer = setTimeout(() => void list.load({ ...list.query.value, search: typed }), typingPauseMs);
    return () => clearTimeout(timer);
  }, [typed, list]);
  return (
    <search class="search">
      <label>
        <span>Search</span>
        <input type="search" value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />
      </label>
      <label>
        <span>Sort by</span>
        <select
          value={sort}
          onChange={(event) => void list.load({ search: typed, sort: orderOf(event.currentTarget.value) })}
        >
          {orders.map((order) => (
            <option key={order} value={order}>
              {orderNames[order]}
            </option>
          ))}
        </select>
      </label>
    </search>
  );
}

function orderOf(value: string): Order {
  return orders.find((order) => order === value) ?? 'used';
}
