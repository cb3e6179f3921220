import { get as getPlain } from 'node:http';
import { get as getSecure } from 'node:https';

/** Whether a server answers `/v2/` at all, however. Throws once the server `isRunning` no more. */
export function answers(origin: string, isRunning: () => boolean): Promise<boolean> {
  if (!isRunning()) throw new Error('ended');
  return new Promise((resolve) => {
    const url = `${origin}/v2/`;
    const done = (response: import('node:http').IncomingMessage) =>
      response.resume().once('close', () => resolve(true));
    const request = url.startsWith('https:')
      ? getSecure(url, { agent: false, rejectUnauthorized: false }, done)
      : getPlain(url, { agent: false }, done);
    request.once('error', () => resolve(false));
  });
}
