import { computed, signal } from '@preact/signals';
import type { StateDocument } from '../../admin/state-document.ts';
import { LiveConnection, type Refusal } from './live-connection.ts';
import { type LiveState, nothingKnown, stateOf } from './live-state.ts';

export type Connection =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live' }
  /** `refusal`: the server is there, and says no. */
  | { readonly kind: 'lost'; readonly sinceMs: number; readonly refusal: Refusal | undefined };

/**
 * What the page knows. State comes at most once a second and is drawn with the next frame; while nobody looks, it is kept
 * and drawn once when somebody does.
 */
export const connection = signal<Connection>({ kind: 'connecting' });
export const live = signal<LiveState>(nothingKnown);
/** The server's clock, in ms since the epoch: relative times are told by the clock that made them. */
export const serverNowMs = signal(Date.now());
export const isEmpty = computed(() => {
  const { status, pulls } = live.value;
  return (
    status !== undefined && (status.cache.images ?? 0) === 0 && status.cache.blobs === 0 && (pulls ?? []).length === 0
  );
});

let latest: StateDocument | undefined;
let skewMs = 0;
let isDrawing = false;

function draw(): void {
  if (isDrawing || document.hidden) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    if (latest !== undefined) live.value = stateOf(latest);
    serverNowMs.value = Date.now() + skewMs;
  });
}

function changed(document: StateDocument): void {
  latest = document;
  draw();
}

const events = new LiveConnection({
  changed,
  connected: () => {
    connection.value = { kind: 'live' };
    void measureSkew();
  },
  disconnected: (atMs, refusal) => {
    const { value } = connection;
    connection.value = { kind: 'lost', sinceMs: value.kind === 'lost' ? value.sinceMs : atMs + skewMs, refusal };
  },
});

/** Of the two clocks, from the Date of an answer, which is told to the second: less than two is no difference. */
async function measureSkew(): Promise<void> {
  try {
    const response = await fetch('/healthz', { cache: 'no-store' });
    const told = Date.parse(response.headers.get('date') ?? '');
    const ahead = told + 500 - Date.now();
    if (Number.isFinite(ahead)) skewMs = Math.abs(ahead) < 2000 ? 0 : ahead;
  } catch {
    // The stream says it if the server is away.
  }
}

export function startLive(): void {
  events.open();
  setInterval(() => {
    if (!document.hidden) serverNowMs.value = Date.now() + skewMs;
  }, 1000);
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) return;
    draw();
    events.hurry();
  });
  addEventListener('online', () => events.hurry());
}

export function connectNow(): void {
  events.hurry();
}
