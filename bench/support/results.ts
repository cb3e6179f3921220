import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Committed: what documents show. */
export const resultsFolder: string = fileURLToPath(new URL('../results', import.meta.url));

export interface Results {
  readonly md: string;
  readonly svg: string;
  readonly json: unknown;
}

export async function writeResults(folder: string, name: string, { md, svg, json }: Results): Promise<void> {
  await mkdir(folder, { recursive: true });
  await Promise.all([
    writeFile(join(folder, `${name}.md`), md),
    writeFile(join(folder, `${name}.svg`), svg),
    writeFile(join(folder, `${name}.json`), `${jsonText(json)}\n`),
  ]);
}

/** Indented, with lists of numbers on one line: samples would take a line each. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, undefined, 2).replace(/\[[-\d.,eE\s]+\]/g, (list) => {
    return list.replaceAll(/\s+/g, ' ').replace('[ ', '[').replace(' ]', ']');
  });
}
