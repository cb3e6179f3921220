import { rmSync } from 'node:fs';
import { serve } from '../serve.ts';

/**
 * `onepull serve` as a child of the demo: the command itself, with a configuration file. It also ends when the demo is
 * killed, and then removes the folder that the demo could not remove.
 */
const [, , config = '', folder = ''] = process.argv;

const onOrphaned = () => {
  rmSync(folder, { recursive: true, force: true });
  process.exit(1);
};
process.once('disconnect', onOrphaned);
process.exitCode = await serve({ config });
process.off('disconnect', onOrphaned);
process.disconnect?.();
