import { z } from 'zod';
import { bytes, bytesPerSecond, choice, count, digest, durationMs, epochMs, list, text } from './field.ts';

/** As `FlightSnapshot`, with a name. */
export const flight: z.ZodObject = z
  .strictObject({
    id: text('Names this transfer, as long as the process runs.'),
    digest: digest('The blob.'),
    state: choice(
      ['waiting', 'pulling', 'verifying', 'done', 'failed'],
      '`waiting`, `pulling`, `verifying`, `done` or `failed` (also where it was stopped because nobody wanted it any more).',
    ),
    waitingFor: text('While `state` is `waiting`: for what, in words.').optional(),
    sizeBytes: bytes('The size of the blob, once upstream or a manifest has said it.').optional(),
    filledBytes: bytes(
      'How much of it is here; of one that failed or was stopped, what it left on disk. With `notKept`: how far it has come.',
    ),
    notKept: choice(
      ['too-large', 'disk-full', 'cache-in-use', 'disk-failed'],
      'Why it is streamed through memory and not kept: it is larger than the cache may be, the disk is full, all that could leave for it is in use, or the disk fails. Absent: it is kept.',
    ).optional(),
    ranges: list(
      z.strictObject({
        source: text('Which of `sources` it reads from.'),
        start: bytes('The offset in the blob where it began.'),
        nextOffset: bytes('The offset of the byte that comes next.'),
      }),
      'The requests to upstream that bring bytes now; several where readers want parts that lie far from each other.',
    ),
    waiters: count('Responses that follow it now.'),
    sources: list(
      z.string(),
      'Where it may read from: `registry/repository` of each client; of several endpoints each: `registry/repository at host`.',
    ),
    receivedBytes: bytes(
      'What came from upstream and from other nodes, thrown away bytes included: what the transfer cost so far. More than `filledBytes` after a bad body.',
    ),
    peerBytes: bytes('Of these, what came from other nodes.'),
    rateBytesPerSecond: bytesPerSecond('How fast bytes came in the last second.'),
    attempts: count('Requests for the body so far: 1 unless something broke off or was asked for out of order.'),
    peerAttempts: count('Of these, requests to other nodes.'),
    startedAtMs: epochMs('When it began.'),
    ageMs: durationMs('How long ago that is; of one that ended, how long it took.'),
    error: text('Why it failed, in words.').optional(),
  })
  .meta({ id: 'Flight' });
