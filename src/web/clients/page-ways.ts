import type { WaysToTell } from '../../clients/cache-facts.ts';

/** Where the page takes what the command takes by flags. */
export const pageWays: WaysToTell = { address: 'the first field above', ca: 'the second field above' };
