import type { Command } from 'commander';
import * as answers from './admin-answers.ts';
import { AdminClient } from './admin-client.ts';
import { adminPlace } from './admin-place.ts';
import { type Candidate, completionOf } from './completion/candidates.ts';
import { exitCodes } from './options.ts';

/** Nobody waits longer for a suggestion. */
const patienceMs = 1000;
const mostImages = 100;

/** Answers a shell's completion. Never says what went wrong: there is only nothing to suggest. */
export async function complete(program: Command, words: readonly string[]): Promise<number> {
  const completion = completionOf(program, words);
  const word = words.at(-1) ?? '';
  if (completion.kind === 'candidates') print(completion.candidates);
  else if (completion.kind === 'images') print(await imagesLike(word, completion.flags).catch(() => []));
  else process.stdout.write(`:${completion.kind}\n`);
  return exitCodes.ok;
}

function print(candidates: readonly Candidate[]): void {
  const clean = (text: string) => text.replace(/\s+/g, ' ');
  for (const { value, description } of candidates) process.stdout.write(`${clean(value)}\t${clean(description)}\n`);
}

async function imagesLike(word: string, flags: Readonly<Record<string, string>>): Promise<Candidate[]> {
  const client = new AdminClient(await adminPlace(flags, process.env), { silenceMs: patienceMs });
  const query = new URLSearchParams({ search: word, sort: 'name', limit: String(mostImages) });
  const { images } = await client.get(`/api/v1/images?${query}`, answers.images, AbortSignal.timeout(patienceMs));
  return images.filter(({ image }) => image.startsWith(word)).map(({ image }) => ({ value: image, description: '' }));
}
