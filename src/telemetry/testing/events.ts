import type { RequestEvent } from '../channels.ts';

export const requestEvent: RequestEvent = {
  id: 'r1',
  client: '10.0.0.9',
  method: 'GET',
  path: '/v2/library/alpine/manifests/latest?ns=docker.io&token=hunter2',
  route: 'manifest',
  registry: 'docker.io',
  repository: 'library/alpine',
  reference: 'latest',
  userAgent: 'containerd/2.1',
  status: 200,
  errorCode: undefined,
  served: 'hit',
  bytes: 512,
  complete: true,
  firstByteMs: 1.234,
  durationMs: 2.345,
};
