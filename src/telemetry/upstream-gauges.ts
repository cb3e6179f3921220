import { Gauge, type Registry } from 'prom-client';

/** One upstream, as far as the gauges show it. */
export interface UpstreamFigures {
  readonly name: string;
  readonly endpoints: readonly EndpointFigures[];
}

interface EndpointFigures {
  readonly name: string;
  readonly breaker: { readonly state: string };
  readonly pauses: readonly { readonly what: string; readonly leftMs: number }[];
  readonly bodies: { readonly limit: number; readonly inFlight: number; readonly queued: number };
}

/** Gauges of each endpoint, read when they are asked for. */
export function addUpstreamGauges(registry: Registry, upstreams: () => readonly UpstreamFigures[]): void {
  const registers = [registry];
  const read = (name: string, help: string, value: (endpoint: EndpointFigures) => number) =>
    new Gauge({
      name: `onepull_${name}`,
      help,
      labelNames: ['upstream', 'endpoint'],
      registers,
      collect() {
        for (const { name: upstream, endpoints } of upstreams())
          for (const endpoint of endpoints) this.set({ upstream, endpoint: endpoint.name }, value(endpoint));
      },
    });
  read(
    'breaker_open',
    '1 while an endpoint fails, else 0: it is out of use while another one is sound, and an only one is asked all the same.',
    ({ breaker }) => (breaker.state === 'closed' ? 0 : 1),
  );
  read('upstream_bodies_limit', 'Bodies that may come from an endpoint at once.', ({ bodies }) => bodies.limit);
  read('upstream_bodies', 'Bodies that come from an endpoint now.', ({ bodies }) => bodies.inFlight);
  read('upstream_queued_requests', 'Requests that wait for their turn at an endpoint.', ({ bodies }) => bodies.queued);
  new Gauge({
    name: 'onepull_upstream_paused_seconds',
    help: 'What is left of the rest that an endpoint asked for.',
    labelNames: ['upstream', 'endpoint', 'what'],
    registers,
    collect() {
      // A rest that is over is no series any more.
      this.reset();
      for (const { name: upstream, endpoints } of upstreams())
        for (const { name: endpoint, pauses } of endpoints)
          for (const { what, leftMs } of pauses) this.set({ upstream, endpoint, what }, leftMs / 1000);
    },
  });
}
