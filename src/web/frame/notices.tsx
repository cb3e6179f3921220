import { unknownPlace } from '../state/place.ts';
import { connection, live } from '../state/store.ts';

/** What is wrong with the node as a whole, with looking at it, or with the address, on top of every view. */
export function Notices() {
  const { status } = live.value;
  const state = connection.value;
  const refusal = state.kind === 'lost' ? state.refusal : undefined;
  const reasons = status?.state === 'not ready' ? status.reasons : [];
  const warnings = status?.warnings ?? [];
  const unknown = unknownPlace.value;
  if (unknown === undefined && refusal === undefined && reasons.length === 0 && warnings.length === 0) return null;
  return (
    <div class="notices">
      {unknown !== undefined && (
        <p class="notice" role="status">
          There is no view named <q>{unknown}</q>. This is what is being pulled now.
        </p>
      )}
      {refusal !== undefined && (
        <p class="notice">
          onepull is there, but does not show this page how it does: {refusal.words} ({refusal.status}).{' '}
          {refusal.status === 503 && 'There is room again when another dashboard is closed. '}
          This page tries again by itself, or when you press <q>Try now</q>.
        </p>
      )}
      {reasons.length > 0 && <p class="notice is-bad">Not ready: {reasons.join('; ')}</p>}
      {warnings.map((warning) => (
        <p key={warning} class="notice">
          {warning}
        </p>
      ))}
    </div>
  );
}
