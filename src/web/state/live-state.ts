import type { PullSnapshot } from '../../pull/pull-board.ts';
import type { LiveState, StateChange } from './contract.ts';

export const nothingKnown: LiveState = {
  pulls: undefined,
  flights: undefined,
  upstreams: undefined,
  cluster: undefined,
  status: undefined,
  effect: undefined,
};

/** As many as the server remembers. */
const pullsKept = 200;

/** The state after a change. The first event of a connection has all of it, and replaces what an earlier connection said. */
export function applyChange(state: LiveState, change: StateChange, isFirst: boolean): LiveState {
  if (isFirst) return { ...nothingKnown, ...change };
  if (change.pulls === undefined) return { ...state, ...change };
  return { ...state, ...change, pulls: mergePulls(state.pulls ?? [], change.pulls) };
}

function mergePulls(known: readonly PullSnapshot[], changed: readonly PullSnapshot[]): PullSnapshot[] {
  const byKey = new Map(known.map((pull) => [pullKey(pull), pull]));
  for (const pull of changed) byKey.set(pullKey(pull), pull);
  return [...byKey.values()].sort((a, b) => b.lastAskedAtMs - a.lastAskedAtMs).slice(0, pullsKept);
}

/** The name of an image may change while it is pulled (its tag becomes known); a manifest may have several repositories. */
export function pullKey({ image, manifest }: Pick<PullSnapshot, 'image' | 'manifest'>): string {
  return `${repositoryOf(image)} ${manifest}`;
}

/** `docker.io/library/nginx` of `docker.io/library/nginx:1.29` and of `docker.io/library/nginx@sha256:...`. */
export function repositoryOf(image: string): string {
  const plain = image.split('@', 1)[0] ?? image;
  const colon = plain.lastIndexOf(':');
  return colon > plain.lastIndexOf('/') ? plain.slice(0, colon) : plain;
}
