import { systemClock } from '../../core/clock.ts';
import { Channels } from '../../telemetry/channels.ts';
import { openFsStore } from '../fs/open-fs-store.ts';
import { sampleBlob } from './sample-content.ts';

/** Run as a program: opens so many blobs, one after the other, in a store that would keep all of them open. */
const [path = '', count = '0'] = process.argv.slice(2);
const options = { path, maxSizeBytes: 1e9, scrubBytesPerSecond: 0, verifyAfterMs: 1e9, maxIdleFiles: 10_000 };
await using store = await openFsStore({ clock: systemClock, channels: new Channels() }, options);
for (let seed = 0; seed < Number(count); seed++) {
  const { digest, bytes } = sampleBlob(seed, 100);
  await store.content.put(digest, bytes);
  const blob = await store.content.open(digest);
  blob?.lease?.(0);
  blob?.close();
  const fill = await store.content.openPartial(sampleBlob(seed, 50).digest);
  await fill.close();
}
