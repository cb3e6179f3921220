import { lockDataDirectory } from '../fs/data-lock.ts';

// A process that uses the data directory named by its argument until it is killed, and says when it does.
const [, , path = ''] = process.argv;
const lock = await lockDataDirectory(path);
console.log('locked');
setInterval(() => lock, 60_000);
