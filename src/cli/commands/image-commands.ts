import { type Command, InvalidArgumentError, Option } from 'commander';
import type { AdminOptions, ImagesOptions, PreheatOptions, PurgeOptions } from '../options.ts';
import { adminHelp, withAdminOptions } from './admin-options.ts';
import { withHelp } from './help-text.ts';
import type { Run } from './run.ts';

const preheatHelp = `
The exit code is 0 when all of them are there, 1 when one failed, and 2 when the command is wrong, a name included. Ctrl-C cancels it
(exit code 130); what has come by then stays. --no-wait prints its id and leaves it to the instance.

Examples:
  onepull preheat docker.io/library/nginx:1.29
  onepull preheat ghcr.io/org/app:2.1 ghcr.io/org/worker:2.1
  onepull preheat nginx:1.29 --platform linux/amd64 --platform linux/arm64
  onepull preheat nginx:1.29 --json | jq -r '.images[] | "\\(.image) \\(.state)"'`;

const imagesHelp = `
SIZE is all that its manifest names, STORED what of that is here (layers that images share count for each of them). A
platform of an index counts once somebody has asked for it. USED and CACHED say how long ago it was served last, and came.
PLATFORMS are those of which everything is here; what the image is for besides stands behind "not here".
On a terminal, long names are shortened: first the registry and the digest. Elsewhere, and with --json, they are whole.

Examples:
  onepull images
  onepull images --search nginx --sort size
  onepull images --sort age --limit 1000 --json | jq -r '.images[].image'`;

const purgeHelp = `
On a terminal it asks first; elsewhere it wants --yes. What another image shares stays. The exit code is 1 where one is
not gone, and 2 where a name is none.

Examples:
  onepull purge docker.io/library/nginx:1.29
  onepull purge ghcr.io/org/app:2.0 ghcr.io/org/app:2.1 --yes`;

const pinHelp = (name: string) => `
Examples:
  onepull ${name} docker.io/library/nginx:1.29
  onepull ${name} ghcr.io/org/app:2.0 ghcr.io/org/app:2.1 --json`;

export function imagesCommand(onepull: Command, run: Run): void {
  const order = new Option('--sort <order>', 'what comes first: used last, largest, here for longest, or by name');
  const command = onepull
    .command('images')
    .description('List the images that the cache holds.')
    .option('--search <text>', 'only those with this in their name')
    .addOption(order.choices(['used', 'size', 'age', 'name']).default('used'))
    .addOption(new Option('--limit <number>', 'how many at most').argParser(positive).default(50));
  withHelp(withAdminOptions(command), imagesHelp, adminHelp).action((options: ImagesOptions) =>
    run(async () => (await import('../images.ts')).images(options)),
  );
}

export function preheatCommand(onepull: Command, run: Run): void {
  const platform = new Option(
    '--platform <os/cpu>',
    'which of an image for several, such as linux/arm64; again for more',
  );
  const command = onepull
    .command('preheat')
    .description('Pull images before anybody asks for them.')
    .argument('<image...>', 'as clients name them: nginx:1.29, ghcr.io/org/app@sha256:...', imagesOf)
    .addOption(platform.argParser(platformsOf))
    .option('--no-wait', 'print its id and do not wait for it');
  withHelp(withAdminOptions(command), preheatHelp, adminHelp).action((images: string[], options: PreheatOptions) =>
    run(async () => (await import('../preheat.ts')).preheat(images, options)),
  );
}

export function purgeCommand(onepull: Command, run: Run): void {
  const command = onepull
    .command('purge')
    .description('Take images out of the cache.')
    .argument('<image...>', 'as onepull images lists them, or as clients name them', imagesOf)
    .option('--yes', 'do not ask');
  withHelp(withAdminOptions(command), purgeHelp, adminHelp).action((images: string[], options: PurgeOptions) =>
    run(async () => (await import('../change-images.ts')).purge(images, options)),
  );
}

export function pinCommands(onepull: Command, run: Run): void {
  for (const [name, description] of [
    ['pin', 'Keep images when the cache makes room.'],
    ['unpin', 'Let the cache drop images again.'],
  ] as const) {
    withHelp(withAdminOptions(onepull.command(name)), pinHelp(name), adminHelp)
      .description(description)
      .argument('<image...>', 'as onepull images lists them, or as clients name them', imagesOf)
      .action((images: string[], options: AdminOptions) =>
        run(async () => (await import('../change-images.ts')).pin(images, options, name === 'pin')),
      );
  }
}

function imagesOf(text: string, before: readonly string[] = []): readonly string[] {
  if (text.trim() === '') throw new InvalidArgumentError('It is empty.');
  return [...before, text];
}

function positive(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('It is not a number from 1 to 999999.');
  return Number(text);
}

function platformsOf(text: string, before: readonly string[] = []): readonly string[] {
  if (!/^[a-z0-9]+\/[a-z0-9]+(\/[a-z0-9.]+)?$/.test(text)) {
    throw new InvalidArgumentError('It is not a platform, such as linux/amd64 or linux/arm/v7.');
  }
  return [...before, text];
}
