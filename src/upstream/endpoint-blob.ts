import type { Digest } from '../core/digest.ts';
import type { RepositoryName } from '../core/repository-name.ts';
import type { Source, SourceRequest } from '../flights/source.ts';
import type { AnswerReader } from './answer-reader.ts';
import { toSourceBody } from './blob-answer.ts';
import type { EndpointChoice } from './endpoint-choice.ts';
import type { Ask, EndpointClient } from './endpoint-client.ts';

/**
 * A blob at one endpoint. Whoever still waits for the endpoint's headers when it turns out to be down is told so at once,
 * where another endpoint is sound and can bring the blob: a dead one is found out once, not by each flight for itself.
 */
export function endpointBlob(
  { choice, reader }: { choice: EndpointChoice; reader: AnswerReader },
  client: EndpointClient,
  { repository, digest }: { repository: RepositoryName; digest: Digest },
  options: { headersTimeoutMs: number; patienceMs: number },
): Pick<Source, 'name' | 'standing' | 'open' | 'discredit'> {
  return {
    name: client.endpoint.name,
    standing: () => choice.standing(client),
    discredit: (error) => client.watch.failed(error),
    async open(request, signal) {
      const { start, end } = request;
      const ask = { ...rangeAsk(request), repository, path: `blobs/${digest}` };
      const moveOn = new AbortController();
      const stopListening = client.watch.onOpened(() => {
        if (request.hasAlternative() && choice.isShut(client, ask.what)) moveOn.abort(choice.shutError(client));
      });
      const { headersTimeoutMs, patienceMs } = options;
      const isPatient = !request.hasAlternative() || !choice.hasSoundOther(client, ask.what);
      const turn = { ...request, headersTimeoutMs: isPatient ? headersTimeoutMs : patienceMs };
      try {
        return await client.bulk(ask, turn, AbortSignal.any([signal, moveOn.signal]), async (answer) =>
          toSourceBody(await reader.succeeded(answer), start, end),
        );
      } finally {
        stopListening();
      }
    },
  };
}

function rangeAsk({ start, end }: SourceRequest): Pick<Ask, 'kind' | 'what' | 'method' | 'headers'> {
  if (end !== undefined && end <= start) throw new RangeError(`no bytes between ${start} and ${end}`);
  const isWhole = start === 0 && end === undefined;
  const headers = isWhole ? {} : { range: `bytes=${start}-${end === undefined ? '' : end - 1}` };
  return { kind: 'blob', what: 'blob-body', method: 'GET', headers };
}
