import type { EndpointSnapshot, UpstreamSnapshot } from '../../upstream/upstream-snapshot.ts';
import { count, percent, rate } from '../format/amounts.ts';
import { duration } from '../format/times.ts';
import { Gauge } from '../parts/gauge.tsx';
import { Ago } from '../parts/time.tsx';
import { live, serverNowMs } from '../state/store.ts';
import { budgetOf, isUnasked, pauseWords, standingWords, upstreamState } from './upstream-words.ts';

const stateWords = { sound: 'sound', partly: 'works, with trouble', out: 'out of use', failing: 'fails' } as const;

export function UpstreamsView() {
  const { upstreams } = live.value;
  if (upstreams === undefined) return <p class="nothing">Not told yet.</p>;
  const asked = upstreams.filter(({ endpoints }) => !isUnasked(endpoints));
  const unasked = upstreams.filter(({ endpoints }) => isUnasked(endpoints));
  return (
    <>
      <ul class="upstreams">
        {asked.map((upstream) => (
          <li key={upstream.name}>
            <Upstream upstream={upstream} />
          </li>
        ))}
      </ul>
      {unasked.length > 0 && (
        <section aria-labelledby="unasked">
          <h2 id="unasked">Not asked since the start</h2>
          <p class="dim">{unasked.map(({ name }) => name).join(', ')}</p>
        </section>
      )}
    </>
  );
}

function Upstream({ upstream }: { readonly upstream: UpstreamSnapshot }) {
  const state = upstreamState(upstream.endpoints);
  return (
    <section class="panel upstream" aria-label={upstream.name}>
      <h2>
        {upstream.name}
        <span class={`health health-${state}`}>
          <span class="state-dot" aria-hidden="true" />
          {stateWords[state]}
        </span>
      </h2>
      {upstream.endpoints.map((endpoint) => (
        <Endpoint key={endpoint.name} endpoint={endpoint} isOnly={upstream.endpoints.length === 1} />
      ))}
    </section>
  );
}

function Endpoint({ endpoint, isOnly }: { readonly endpoint: EndpointSnapshot; readonly isOnly: boolean }) {
  const { health, bodies, breaker, pauses } = endpoint;
  const reason = breaker.reason ?? health.lastError?.message;
  return (
    <article class="endpoint" aria-label={endpoint.name}>
      <h3>
        {isOnly ? '' : `${endpoint.preference}. `}
        <code>{endpoint.name}</code>{' '}
        {!(isOnly && endpoint.standing === 'sound') && (
          <span class={`standing standing-${endpoint.standing}`}>{standingWords(endpoint, serverNowMs.value)}</span>
        )}
      </h3>
      <dl class="facts">
        <Fact name="Latency" value={latencyWords(health)} />
        <Fact name="One body at" value={health.bytesPerSecond === undefined ? '–' : rate(health.bytesPerSecond)} />
        <Fact name="Errors, last minute" value={percent(health.errorRatio, 1)} isBad={health.errorRatio > 0} />
        <Fact
          name="Bodies"
          value={`${count(bodies.inFlight)} of ${count(bodies.limit)}${bodies.queued > 0 ? `, ${count(bodies.queued)} queued` : ''}`}
        />
        <Budget endpoint={endpoint} />
        {pauses.length > 0 && <Fact name="It asked for a rest" value={pauseWords(endpoint)} isBad />}
      </dl>
      {reason !== undefined && (
        <p class={breaker.state === 'closed' ? 'dim' : 'failure'}>
          {breaker.state === 'closed' ? 'Last error ' : 'Since '}
          {breaker.openedAtMs !== undefined ? (
            <Ago atMs={breaker.openedAtMs} />
          ) : (
            health.lastError !== undefined && <Ago atMs={health.lastError.atMs} />
          )}
          : {reason}
        </p>
      )}
    </article>
  );
}

function latencyWords({ latencyMs, lastError }: EndpointSnapshot['health']): string {
  if (latencyMs !== undefined) return duration(latencyMs);
  return lastError === undefined ? 'not asked yet' : 'no answer yet';
}

function Budget({ endpoint }: { readonly endpoint: EndpointSnapshot }) {
  const budget = budgetOf(endpoint);
  const { rateLimit } = endpoint;
  if (budget === undefined || rateLimit === undefined) return null;
  return (
    <div>
      <dt>Rate limit left</dt>
      <dd>
        <span class="num">
          {count(budget.left)}
          {rateLimit.limit === undefined ? '' : ` of ${count(rateLimit.limit)}`}
        </span>{' '}
        {budget.share !== undefined && (
          <Gauge
            label={`rate limit left at ${endpoint.name}`}
            share={budget.share}
            words={count(budget.left)}
            isLow={budget.share < 0.2}
          />
        )}{' '}
        <small class="dim">
          told <Ago atMs={rateLimit.toldAtMs} />
        </small>
      </dd>
    </div>
  );
}

function Fact({
  name,
  value,
  isBad = false,
}: {
  readonly name: string;
  readonly value: string;
  readonly isBad?: boolean;
}) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class={isBad ? 'is-bad' : undefined}>{value}</dd>
    </div>
  );
}
