import type { Subject } from './subject.ts';

/** No cache at all. */
export const direct: Subject = {
  name: 'direct',
  title: 'the upstream itself',
  version: '',
  async start(upstreamUrl) {
    return { origin: upstreamUrl, pid: undefined, async [Symbol.asyncDispose]() {} };
  },
};
