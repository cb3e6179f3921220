/**
 * The query string of the next page that a Link header names (RFC 8288, distribution-spec "Listing Tags"), without `?`;
 * undefined on the last page. The address itself is dropped: the next page is asked of whom we choose.
 */
export function nextPageQuery(header: string | readonly string[] | undefined): string | undefined {
  const text = typeof header === 'string' ? header : (header ?? []).join(', ');
  for (const match of text.matchAll(/<([^>]*)>((?:\s*;\s*[^,;"]*(?:"[^"]*")?)*)/g)) {
    const [, target = '', params = ''] = match;
    const relation = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,]+))/i.exec(params);
    const names = (relation?.[1] ?? relation?.[2] ?? '').toLowerCase().split(/\s+/);
    if (!names.includes('next') || !URL.canParse(target, 'http://upstream/')) continue;
    const query = new URL(target, 'http://upstream/').search.slice(1);
    if (query !== '') return query;
  }
  return undefined;
}
