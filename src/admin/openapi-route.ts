import { type AdminRoute, jsonAnswer } from './route.ts';

/** The description of all routes. It takes memory that most instances never need, so it is made when it is asked for. */
export function openApiRoute(version: string): AdminRoute {
  let document: Promise<unknown> | undefined;
  const make = async () => {
    const [{ openApiDocument }, { operations }] = await Promise.all([
      import('./description/openapi-document.ts'),
      import('./description/operations.ts'),
    ]);
    return openApiDocument(operations, version);
  };
  return {
    method: 'GET',
    path: '/api/v1/openapi.json',
    async handler() {
      document ??= make();
      return jsonAnswer(200, await document);
    },
  };
}
