import type { Command } from 'commander';
import { count } from '../arguments.ts';
import { readProfiles } from './cpu-profile.ts';
import { profileTable } from './profile-table.ts';

/** For profiles that were made by other means. */
export function addProfileTable(bench: Command): void {
  bench
    .command('profile-table')
    .argument('<folder>', 'with .cpuprofile files, of one process or several')
    .option('--top <n>', 'how many functions', count, 25)
    .description('The functions that took the most time themselves, of all profiles of a folder together.')
    .action(async (folder: string, { top }: { top: number }) => {
      process.stdout.write(`${profileTable(await readProfiles(folder), top)}\n`);
    });
}
