import type { AppError } from '../core/errors.ts';
import type { FillBody } from './fill-body.ts';

/**
 * A flight's states and the events that move it, in one place.
 *
 *              opened            complete             matched               closed
 *   opening ──────────► filling ──────────► verifying ─────────► committing ────────► done
 *     │  ▲                 │                   │                                       ▲
 *     │  └─────────────────┴─── mismatched ────┤                                       │
 *     ├──── failed ────────┴───────────────────┼──► failed                             │
 *     ├──── abandoned ─────┴───────────────────┴──► parked                             │
 *     └──── found (it is in the store already) ────────────────────────────────────────┘
 *
 * `mismatched` also covers a body whose size turned out to be another than the one it was opened for: it starts over.
 * From `committing` on the content is verified: readers are served to the end, whatever becomes of the commit (`closed`).
 * `done`, `failed` and `parked` are final: whoever comes later starts another flight.
 */
export type FlightState =
  | { readonly phase: 'opening' }
  | { readonly phase: 'filling' | 'verifying' | 'committing' | 'done'; readonly body: FillBody }
  | { readonly phase: 'failed' | 'parked'; readonly error: AppError };

export type FlightEvent =
  | { readonly type: 'opened' | 'found'; readonly body: FillBody }
  | { readonly type: 'complete' | 'matched' | 'mismatched' | 'closed' }
  | { readonly type: 'failed' | 'abandoned'; readonly error: AppError };

/** The state after `event`. Throws where the event cannot happen: a defect of the flight, not of the world. */
export function nextState(state: FlightState, event: FlightEvent): FlightState {
  switch (event.type) {
    case 'opened':
      if (state.phase === 'opening') return { phase: 'filling', body: event.body };
      break;
    case 'found':
      if (state.phase === 'opening') return { phase: 'done', body: event.body };
      break;
    case 'complete':
      if (state.phase === 'filling') return { phase: 'verifying', body: state.body };
      break;
    case 'mismatched':
      if (state.phase === 'filling' || state.phase === 'verifying') return { phase: 'opening' };
      break;
    case 'matched':
      if (state.phase === 'verifying') return { phase: 'committing', body: state.body };
      break;
    case 'closed':
      if (state.phase === 'committing') return { phase: 'done', body: state.body };
      break;
    case 'failed':
      if (isOpenEnded(state)) return { phase: 'failed', error: event.error };
      break;
    case 'abandoned':
      if (isOpenEnded(state)) return { phase: 'parked', error: event.error };
      break;
  }
  throw new Error(`a flight that is ${state.phase} cannot be ${event.type}`);
}

export function isFinal(state: FlightState): boolean {
  return state.phase === 'done' || state.phase === 'failed' || state.phase === 'parked';
}

/** Whether it can still fail or be abandoned. Once verified it cannot: the commit is all that is left. */
export function isOpenEnded(state: FlightState): boolean {
  return state.phase === 'opening' || state.phase === 'filling' || state.phase === 'verifying';
}
