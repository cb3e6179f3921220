import type { Source } from './source.ts';

/** What is told of where a blob comes from. Undefined: nobody is known that has it. */
export interface SourceAccount {
  readonly upstream: string | undefined;
  readonly source: string | undefined;
  readonly endpoint: string | undefined;
}

/** `all`: who has it. `told`: of whom something is to be told: who brought it, who failed. */
export function sourceAccount(all: readonly Source[], told: readonly Source[]): SourceAccount {
  const upstreams = all.filter(({ isPeer }) => isPeer !== true);
  return {
    upstream: listed(upstreams.map(({ origin }) => origin)),
    source: listed((upstreams.length > 0 ? upstreams : all).map(({ place, name }) => place?.repository ?? name)),
    endpoint: listed(told.map(({ place, name }) => place?.endpoint ?? name)),
  };
}

function listed(names: readonly string[]): string | undefined {
  return names.length === 0 ? undefined : [...new Set(names)].join(', ');
}
