import { setImmediate as nextTick } from 'node:timers/promises';
import { systemClock } from '../../core/clock.ts';
import { Channels } from '../../telemetry/channels.ts';
import { openFsStore } from '../fs/open-fs-store.ts';
import { sampleBlob } from './sample-content.ts';

// A process that commits blob after blob, several at a time, until it is killed. It prints the seed of each blob that
// is committed. Arguments: the data directory, the first seed.
const [, , path = '', firstSeed = '0'] = process.argv;
const store = await openFsStore(
  { clock: systemClock, channels: new Channels() },
  { path, maxSizeBytes: 1e9, scrubBytesPerSecond: 0 },
);

const blobBytes = 300_000;
const pieceBytes = 10_000;
let nextSeed = Number(firstSeed);

async function fillForever(): Promise<void> {
  for (;;) {
    const seed = nextSeed++;
    const { digest, bytes } = sampleBlob(seed, blobBytes);
    const partial = await store.content.openPartial(digest);
    await partial.record([{ start: 0, end: 0 }], blobBytes);
    for (let offset = 0; offset < blobBytes; offset += pieceBytes) {
      await partial.write(bytes.subarray(offset, offset + pieceBytes), offset);
      if (offset % (10 * pieceBytes) === 0) await partial.record([{ start: 0, end: offset + pieceBytes }], blobBytes);
      await nextTick();
    }
    await partial.commit(blobBytes);
    await partial.close();
    console.log(seed);
  }
}

await Promise.all(Array.from({ length: 4 }, fillForever));
