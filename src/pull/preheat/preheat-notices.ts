import type { NoticeEvent } from '../../telemetry/channels.ts';
import type { Asker, PreheatSnapshot } from './preheat-snapshot.ts';

/** There may be a hundred images in one; the API names them all. */
const imagesNamed = 10;

/** A preheat begins. */
export function startedNotice(preheat: PreheatSnapshot, asker: Asker | undefined): NoticeEvent {
  const { platforms } = preheat;
  const message = `a preheat of ${imagesOf(preheat)} begins`;
  return { level: 'info', message, fields: { ...factsOf(preheat, 'started', asker), platforms } };
}

/** A preheat has ended. `cancelledBy`: who cancelled it, if somebody did. */
export function endedNotice(
  preheat: PreheatSnapshot,
  asker: Asker | undefined,
  cancelledBy: Asker | undefined,
): NoticeEvent {
  const { state, imageCounts, sizeBytes, filledBytes, startedAtMs, endedAtMs = startedAtMs } = preheat;
  const failed = preheat.images.filter((image) => image.state === 'failed');
  const outcomes = Object.entries(imageCounts).filter(([, count]) => count > 0);
  const words = outcomes.map(([outcome, count]) => `${count} ${outcome}`).join(', ');
  const isFailed = state === 'failed';
  return {
    // Somebody wanted these to be here, and has perhaps gone since.
    level: isFailed ? 'warn' : 'info',
    message: `a preheat of ${imagesOf(preheat)} ${isFailed ? 'failed' : `is ${state}`}: ${words}`,
    fields: {
      ...factsOf(preheat, state, asker),
      cancelledBy: cancelledBy?.client,
      imageCounts,
      failed:
        failed.length === 0 ? undefined : failed.slice(0, imagesNamed).map(({ image, error }) => ({ image, error })),
      sizeBytes,
      filledBytes,
      durationMs: Math.round(endedAtMs - startedAtMs),
    },
  };
}

function factsOf({ id, images }: PreheatSnapshot, change: string, asker: Asker | undefined) {
  const names = images.slice(0, imagesNamed).map(({ image }) => image);
  return { event: 'preheat', change, id, images: names, client: asker?.client, userAgent: asker?.userAgent };
}

function imagesOf({ images }: PreheatSnapshot): string {
  return images.length === 1 ? '1 image' : `${images.length} images`;
}
