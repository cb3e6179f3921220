import { render } from 'preact';
import { App } from './app.tsx';
import { place, startPlaces } from './state/place.ts';
import { startLive } from './state/store.ts';
import { startTheme } from './state/theme.ts';
import './styles/page.css';
import './styles/parts.css';
import './styles/views.css';
import './styles/preheats.css';

const element = document.getElementById('app');
if (element === null) throw new Error('the page has no place for the application');

startTheme();
startPlaces((isStart) => {
  document.title = place.value === 'now' ? 'onepull' : `${place.value} - onepull`;
  if (isStart) return;
  // A reader of the screen hears of the new view; its links come next.
  document.getElementById('main')?.focus({ preventScroll: true });
  scrollTo(0, 0);
});
startLive();
render(<App />, element);
