import { digestOf } from '../../core/digest.ts';
import type { FlightEvent, RequestEvent } from '../channels.ts';

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

export const flightEvent: FlightEvent = {
  digest: digestOf(Buffer.from('a flight')),
  event: 'done',
  sizeBytes: 10,
  filledBytes: 10,
  receivedBytes: 12,
  keptBytes: 10,
  notKept: undefined,
  waiters: 2,
  readers: 3,
  upstream: 'docker.io',
  source: 'docker.io/library/app',
  endpoint: 'registry-1.docker.io',
  errorCode: undefined,
  message: undefined,
  durationMs: 5,
};
