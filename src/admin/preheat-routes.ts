import { AppError } from '../core/errors.ts';
import type { Asker, PreheatSnapshot, PreheatSummary } from '../pull/preheat/preheat-snapshot.ts';
import { preheatRequest } from './description/preheat-fields.ts';
import { parseBody } from './request-schema.ts';
import { type AdminRequest, type AdminRoute, jsonAnswer } from './route.ts';

export interface PreheatDeps {
  /** Throws an AppError that says why not. */
  start(
    request: { readonly images: readonly string[]; readonly platforms: readonly string[] },
    asker: Asker,
  ): PreheatSnapshot;
  list(): readonly PreheatSummary[];
  get(id: string): PreheatSnapshot | undefined;
  cancel(id: string, asker: Asker): PreheatSnapshot | undefined;
}

/** Images that are pulled before anybody asks for them. */
export function preheatRoutes(preheats: PreheatDeps): AdminRoute[] {
  return [
    { method: 'GET', path: '/api/v1/preheats', handler: () => jsonAnswer(200, { preheats: preheats.list() }) },
    {
      method: 'POST',
      path: '/api/v1/preheats',
      handler({ body, ...request }) {
        const started = preheats.start(parseBody(preheatRequest, body), askerOf(request));
        return jsonAnswer(202, started, { location: `/api/v1/preheats/${started.id}` });
      },
    },
    {
      method: 'GET',
      path: '/api/v1/preheats/:id',
      handler: ({ params: { id } }) => jsonAnswer(200, known(preheats.get(id ?? ''))),
    },
    {
      method: 'DELETE',
      path: '/api/v1/preheats/:id',
      handler: ({ params: { id }, ...request }) => jsonAnswer(200, known(preheats.cancel(id ?? '', askerOf(request)))),
    },
  ];
}

function askerOf({ client, headers }: Pick<AdminRequest, 'client' | 'headers'>): Asker {
  return { client, userAgent: headers['user-agent'] };
}

function known(preheat: PreheatSnapshot | undefined): PreheatSnapshot {
  if (preheat !== undefined) return preheat;
  throw new AppError('PREHEAT_UNKNOWN', 'there is no such preheat: it ended long ago, or before the last restart');
}
