import { useEffect, useRef } from 'preact/hooks';
import { count } from '../format/amounts.ts';
import { span } from '../format/times.ts';
import { isOnItsWay } from '../now/pull-order.ts';
import { type Place, place, places } from '../state/place.ts';
import { connection, connectNow, live, serverNowMs } from '../state/store.ts';
import { chooseTheme, type ThemeChoice, themeChoice } from '../state/theme.ts';

const names: Readonly<Record<Place, string>> = {
  now: 'Now',
  effect: 'Effect',
  upstreams: 'Upstreams',
  cache: 'Cache',
  cluster: 'Cluster',
  clients: 'Clients',
};
const themes: readonly ThemeChoice[] = ['system', 'light', 'dark'];

export function Header() {
  const { status } = live.value;
  return (
    <header>
      <div class="masthead">
        <p class="brand">
          <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
            <path d="M3 16h9M11 16c6 0 6-9 18-9M11 16h18M11 16c6 0 6 9 18 9" />
          </svg>
          onepull
          {status !== undefined && <small>{status.version}</small>}
        </p>
        <ConnectionState />
        <ThemeSwitch />
      </div>
      <Nav />
    </header>
  );
}

function ConnectionState() {
  const state = connection.value;
  return (
    <div class={`connection connection-${state.kind}`}>
      <span class="state-dot" aria-hidden="true" />
      {state.kind === 'connecting' && 'connecting'}
      {state.kind === 'live' && 'live'}
      {state.kind === 'lost' && (
        <>
          <span>not connected for {span(serverNowMs.value - state.sinceMs)}</span>
          <button type="button" class="quiet" onClick={connectNow}>
            Try now
          </button>
        </>
      )}
    </div>
  );
}

function ThemeSwitch() {
  return (
    <label class="theme">
      <span class="hidden">Colours</span>
      <select
        value={themeChoice.value}
        onChange={({ currentTarget: { value } }) => chooseTheme(themes.find((choice) => choice === value) ?? 'system')}
      >
        {themes.map((choice) => (
          <option key={choice} value={choice}>
            {choice === 'system' ? 'System' : choice === 'light' ? 'Light' : 'Dark'}
          </option>
        ))}
      </select>
    </label>
  );
}

function Nav() {
  const { cluster } = live.value;
  const list = useRef<HTMLUListElement>(null);
  const shown = places.filter((name) => name !== 'cluster' || cluster != null || place.value === 'cluster');
  // On a phone there is room for some only.
  useEffect(() => {
    toMiddle(list.current?.querySelector('[aria-current]'));
  }, [place.value, shown.length]);
  return (
    <nav aria-label="Views">
      <ul ref={list} onFocusIn={({ target }) => toMiddle(target)}>
        {shown.map((name) => (
          <li key={name}>
            <a href={`#/${name}`} aria-current={place.value === name ? 'page' : undefined}>
              {names[name]}
              <Badge place={name} />
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

/** Where the row is wider than the window it fades away at its end. Not under a pointer, whose click would fall beside. */
function toMiddle(link: EventTarget | null | undefined): void {
  const isPointed = link === document.activeElement && !document.activeElement?.matches(':focus-visible');
  if (link instanceof HTMLElement && !isPointed) link.scrollIntoView({ block: 'nearest', inline: 'center' });
}

/** What wants to be seen from every view. It has its room also while there is nothing: no tab moves away from a pointer. */
function Badge({ place: name }: { readonly place: Place }) {
  const { pulls, upstreams } = live.value;
  if (name === 'now') {
    const all = (pulls ?? []).filter(isOnItsWay).length;
    return <span class={`badge num${all === 0 ? ' is-none' : ''}`}>{count(all)}</span>;
  }
  const isOut =
    name === 'upstreams' &&
    upstreams?.some(({ endpoints }) => endpoints.some(({ breaker }) => breaker.state !== 'closed'));
  if (name !== 'upstreams') return null;
  return <span class={`badge is-bad${isOut === true ? '' : ' is-none'}`}>!</span>;
}
