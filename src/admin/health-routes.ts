import { type AdminRoute, jsonAnswer } from './route.ts';

/** Functions give plain data, without waiting. */
export interface HealthDeps {
  /** Why requests should not come here now, in words; empty: ready. */
  readiness(): readonly string[];
  /** What is wrong although requests may come, in words: onepull serves what it can. */
  warnings(): readonly string[];
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
}

/** For probes, load balancers and Prometheus. */
export function healthRoutes({ readiness, warnings, metrics }: HealthDeps): AdminRoute[] {
  return [
    { method: 'GET', path: '/healthz', handler: () => jsonAnswer(200, { status: 'alive' }) },
    {
      method: 'GET',
      path: '/readyz',
      handler() {
        const reasons = readiness();
        const wrong = warnings();
        const also = wrong.length === 0 ? {} : { warnings: wrong };
        return reasons.length === 0
          ? jsonAnswer(200, { status: 'ready', ...also })
          : jsonAnswer(503, { status: 'not ready', reasons, ...also });
      },
    },
    {
      method: 'GET',
      path: '/metrics',
      handler: async () => ({
        status: 200,
        headers: { 'content-type': metrics.contentType },
        body: await metrics.text(),
      }),
    },
  ];
}
