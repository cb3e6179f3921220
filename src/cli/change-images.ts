import { createInterface } from 'node:readline/promises';
import { formatSize } from '../core/units.ts';
import * as answers from './admin-answers.ts';
import { AdminClient } from './admin-client.ts';
import { CommandFailure, usageFailure } from './command-failure.ts';
import { type AdminOptions, exitCodes, type PurgeOptions } from './options.ts';
import { printJson } from './printing.ts';
import { count } from './status-text.ts';
import { piece } from './text-line.ts';

interface Result {
  readonly image: string;
  readonly error?: string;
}

/** Takes images out of the cache, once that is confirmed. Exit code 1: not all of them are gone; 2: a name is none. */
export async function purge(images: readonly string[], options: PurgeOptions): Promise<number> {
  const client = await AdminClient.for(options, process.env);
  if (options.yes !== true && !(await isConfirmed(images, client))) {
    process.stderr.write('Nothing is purged.\n');
    return exitCodes.failed;
  }
  return await each(images, options, client, async (image) => {
    const { removed, freedBytes, following } = await client.send('DELETE', imagePath('images', image), answers.purged);
    const laterBytes = following.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const later = following.length === 0 ? '' : `, ${formatSize(laterBytes)} once nobody reads them`;
    // By a digest, several names may have gone.
    const names = removed.length === 0 ? image : removed.join(', ');
    return {
      text: `${names}  purged, ${formatSize(freedBytes)} freed${later}`,
      facts: { removed, freedBytes, following },
    };
  });
}

/** Keeps images when the cache makes room, or no longer. Exit code 1: that did not become so for all of them; 2: a name is none. */
export async function pin(images: readonly string[], options: AdminOptions, isPinned: boolean): Promise<number> {
  const client = await AdminClient.for(options, process.env);
  return await each(images, options, client, async (image) => {
    const answer = await client.send(isPinned ? 'PUT' : 'DELETE', imagePath('pins', image), answers.pinned);
    return {
      text: `${answer.image}  ${answer.isPinned ? 'pinned' : 'not pinned'}`,
      facts: { image: answer.image, isPinned: answer.isPinned },
    };
  });
}

async function isConfirmed(images: readonly string[], client: AdminClient): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw usageFailure('nobody is there to confirm it', '--yes purges without asking');
  }
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const names = images.map((image) => `  ${piece(image).text}\n`).join('');
    const answer = await lines.question(
      `${names}Purge ${images.length === 1 ? 'it' : `these ${images.length} images`} from the cache${placeOf(client)}? [y/N] `,
    );
    return /^y(es)?$/i.test(answer.trim());
  } catch {
    // Ctrl-D or Ctrl-C is no yes.
    return false;
  } finally {
    lines.close();
  }
}

/** Who is asked, where nobody typed it: a variable that was set for another instance must not go unnoticed. */
function placeOf(client: AdminClient): string {
  return client.saidByEnvironment ? ` at ${client.address} (ONEPULL_ADMIN)` : '';
}

/** One after the other; one that fails does not keep the others from their turn, unless nobody can be asked at all. */
async function each(
  images: readonly string[],
  options: AdminOptions,
  client: AdminClient,
  change: (image: string) => Promise<{ text: string; facts: object }>,
): Promise<number> {
  const results: Result[] = [];
  const place = placeOf(client);
  let exitCode: number = exitCodes.ok;
  for (const image of images) {
    try {
      const { text, facts } = await change(image);
      results.push({ image, ...facts });
      if (!options.json) process.stdout.write(`${piece(text).text}${place}\n`);
    } catch (error) {
      if (!(error instanceof CommandFailure) || error.kind !== 'refused') throw error;
      results.push({ image, error: error.message });
      exitCode = Math.max(exitCode, error.exitCode);
      process.stderr.write(`onepull: ${piece(`${image}: ${error.message}`).text}${place}\n`);
    }
  }
  const failed = results.filter(({ error }) => error !== undefined).length;
  if (options.json) printJson({ images: results });
  if (failed > 0 && images.length > 1)
    process.stderr.write(`onepull: ${failed} of ${count(images.length, 'image')} failed\n`);
  return exitCode;
}

function imagePath(collection: string, image: string): string {
  return `/api/v1/${collection}?${new URLSearchParams({ image })}`;
}
