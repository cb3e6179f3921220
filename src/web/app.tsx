import type { ComponentType } from 'preact';
import { CacheView } from './cache/cache-view.tsx';
import { ClientsView, NextStep } from './clients/clients-view.tsx';
import { ClusterView } from './cluster/cluster-view.tsx';
import { EffectView } from './effect/effect-view.tsx';
import { Announcer } from './frame/announcer.tsx';
import { Header } from './frame/header.tsx';
import { Notices } from './frame/notices.tsx';
import { NowView } from './now/now-view.tsx';
import { TokenDialog } from './parts/token-dialog.tsx';
import { PreheatAnnouncer } from './preheat/preheat-announcer.tsx';
import { type Place, place } from './state/place.ts';
import { connection, isEmpty, live } from './state/store.ts';
import { UpstreamsView } from './upstreams/upstreams-view.tsx';

const views: Readonly<Record<Place, { readonly title: string; readonly View: ComponentType }>> = {
  now: { title: 'What is being pulled now', View: NowView },
  effect: { title: 'What it saves', View: EffectView },
  upstreams: { title: 'Upstreams', View: UpstreamsView },
  cache: { title: 'What is in the cache', View: CacheView },
  cluster: { title: 'The cluster', View: ClusterView },
  clients: { title: 'Clients', View: ClientsView },
};

export function App() {
  const { title, View } = views[place.value];
  // What a view remembers of pulls is of one run of onepull: after a restart ids mean others.
  const run = live.value.status?.startedAtMs;
  const isKnown = run !== undefined;
  return (
    <>
      <button type="button" class="skip" onClick={skip}>
        Skip to the content
      </button>
      <Header />
      <main id="main" tabIndex={-1} class={connection.value.kind === 'lost' ? 'is-stale' : undefined}>
        <h1>{title}</h1>
        <Notices />
        {isKnown ? <View key={`${place.value} ${run}`} /> : <p class="nothing">{waitingWords()}</p>}
        {isKnown && isEmpty.value && (place.value === 'now' || place.value === 'cache') && (
          <NextStep key={`next-step ${run}`} />
        )}
      </main>
      <Announcer />
      <PreheatAnnouncer />
      <TokenDialog />
    </>
  );
}

function waitingWords(): string {
  return connection.value.kind === 'lost' ? 'Nothing is known yet.' : 'Waiting for the first state \u2026';
}

/** No link to an anchor: the address says which view is shown. */
function skip(): void {
  document.getElementById('main')?.focus();
}
