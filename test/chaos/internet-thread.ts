import { parentPort, workerData } from 'node:worker_threads';
import type { Digest } from '../../src/core/digest.ts';
import { Endpoint } from './endpoint.ts';
import type { EndpointName } from './fault-kinds.ts';
import type { InternetAnswer, InternetRequest, InternetStart, SentBytes } from './internet.ts';
import { alpha, beta, movingTag } from './world.ts';

/** The thread that an `Internet` starts: all upstreams, and nothing else, so that nobody slows them. */
const { world, bytesPerSecond } = workerData as InternetStart;
const endpoints: Readonly<Record<EndpointName, Endpoint>> = {
  a1: await Endpoint.start('a1', true, bytesPerSecond),
  a2: await Endpoint.start('a2', false, bytesPerSecond),
  b1: await Endpoint.start('b1', true, bytesPerSecond),
};
const serving = { [alpha]: [endpoints.a1, endpoints.a2], [beta]: [endpoints.b1] };

for (const { upstream, repository, image, tag } of world.images) {
  for (const { registry } of serving[upstream]) registry.content.add(repository, image, tag);
}

parentPort?.on('message', async (request: InternetRequest) => {
  let answer: InternetAnswer;
  try {
    answer = { id: request.id, value: await obey(request) };
  } catch (error) {
    answer = { id: request.id, failure: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
  parentPort?.postMessage(answer);
});

async function obey(request: InternetRequest): Promise<unknown> {
  switch (request.do) {
    case 'urls':
      return { a1: endpoints.a1.registry.url, a2: endpoints.a2.registry.url, b1: endpoints.b1.registry.url };
    case 'begin':
      return endpoints[request.endpoint].begin(request.order);
    case 'finish':
      return endpoints[request.endpoint].end(request.order);
    case 'move': {
      const moved = world.images[request.image];
      if (moved === undefined) throw new Error(`there is no image ${request.image}`);
      for (const { registry } of serving[moved.upstream])
        registry.content.add(moved.repository, moved.image, movingTag);
      return undefined;
    }
    case 'sent':
      return sent();
    case 'close':
      for (const endpoint of Object.values(endpoints)) await endpoint[Symbol.asyncDispose]();
      parentPort?.close();
      return undefined;
  }
}

function sent(): SentBytes {
  const byDigest = new Map<Digest, number>();
  const explained: Record<string, number> = {};
  for (const endpoint of Object.values(endpoints)) {
    for (const [digest, bytes] of endpoint.sentBytes()) byDigest.set(digest, (byDigest.get(digest) ?? 0) + bytes);
    for (const [kind, bytes] of Object.entries(endpoint.explainedBytes))
      explained[kind] = (explained[kind] ?? 0) + bytes;
  }
  return { byDigest, explained };
}
