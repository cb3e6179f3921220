/** A repository name as in distribution-spec "Pulling manifests" (`<name>`), at most 255 characters. */
export type RepositoryName = string & { readonly __brand: 'RepositoryName' };

const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const grammar = new RegExp(`^${component}(?:/${component})*$`);
const maxLength = 255;

export function parseRepositoryName(text: string): RepositoryName | undefined {
  return text.length <= maxLength && grammar.test(text) ? (text as RepositoryName) : undefined;
}
