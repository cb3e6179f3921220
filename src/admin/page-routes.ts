import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { extname, join } from 'node:path';
import { type AdminRoute, type Answer, type AnswerHeaders, failureAnswer } from './route.ts';

export interface PageOptions {
  /** Where the built pages may be; the first folder with an `index.html` counts. */
  readonly folders: readonly string[];
}

interface Page {
  readonly file: string;
  readonly headers: AnswerHeaders;
  /** Undefined: its name changes with its content. */
  readonly etag: string | undefined;
}

interface Built {
  /** The page itself, as it was when the others were listed. */
  readonly index: { readonly file: string; readonly mtimeMs: number };
  /** By path. */
  readonly pages: ReadonlyMap<string, Page>;
}

const contentTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.json': 'application/json; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
  '.woff2': 'font/woff2',
};

/** Nothing but our own files runs, is shown or is asked, and nobody shows the page inside of theirs. */
const policy = [
  "default-src 'none'",
  ...['script', 'style', 'img', 'font', 'connect', 'manifest'].map((what) => `${what}-src 'self'`),
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const always: AnswerHeaders = {
  'content-security-policy': policy,
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};

const notBuilt = `The dashboard is not built.

In a checkout: npm ci && npm run build:web
The API is there all the same: /api/v1/status, /api/v1/pulls, /metrics
`;

/**
 * The dashboard, as Vite built it.
 *
 * Invariants: what is served was found by listing the folder (a link is not followed), so no path that a request makes up leads
 * anywhere. The folder is listed when the page is asked for first, and again after a build. A file under `assets/` has its
 * content's hash in its name: it is kept for good by whoever has it.
 */
export function pageRoutes({ folders }: PageOptions): AdminRoute[] {
  let built: Built | undefined;
  const current = async () => {
    if (built === undefined || (await modifiedAtMs(built.index.file)) !== built.index.mtimeMs)
      built = await list(folders);
    return built;
  };
  const get = (path: string, pathOf: (params: Readonly<Record<string, string>>) => string): AdminRoute => ({
    method: 'GET',
    path,
    handler: async ({ headers, params }) => answer(await current(), pathOf(params), headers),
  });
  return [
    get('/', () => '/index.html'),
    get('/:file', ({ file }) => `/${file}`),
    get('/assets/:file', ({ file }) => `/assets/${file}`),
  ];
}

async function answer(built: Built | undefined, path: string, headers: IncomingHttpHeaders): Promise<Answer> {
  const page = built?.pages.get(path);
  if (page === undefined) {
    return built === undefined && path === '/index.html'
      ? { status: 404, headers: { ...always, 'content-type': 'text/plain; charset=utf-8' }, body: notBuilt }
      : failureAnswer(404, 'UNSUPPORTED', 'the admin API has no such path');
  }
  if (page.etag !== undefined && isKnown(headers['if-none-match'], page.etag)) {
    return { status: 304, headers: page.headers, body: '' };
  }
  return { status: 200, headers: page.headers, body: await readFile(page.file) };
}

async function list(folders: readonly string[]): Promise<Built | undefined> {
  for (const folder of folders) {
    const file = join(folder, 'index.html');
    const mtimeMs = await modifiedAtMs(file);
    if (mtimeMs === undefined) continue;
    const pages = new Map<string, Page>();
    for (const place of ['', 'assets']) {
      for (const name of await filesIn(join(folder, place))) {
        const path = place === '' ? `/${name}` : `/${place}/${name}`;
        pages.set(path, await pageOf(join(folder, place, name), place === 'assets'));
      }
    }
    return { index: { file, mtimeMs }, pages };
  }
  return undefined;
}

async function pageOf(file: string, isImmutable: boolean): Promise<Page> {
  const headers = { ...always, 'content-type': contentTypes[extname(file)] ?? 'application/octet-stream' };
  if (isImmutable) {
    return { file, headers: { ...headers, 'cache-control': 'public, max-age=31536000, immutable' }, etag: undefined };
  }
  const hash = createHash('sha256').update(await readFile(file));
  const etag = `"${hash.digest('base64url').slice(0, 22)}"`;
  return { file, headers: { ...headers, 'cache-control': 'no-cache', etag }, etag };
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile() && !entry.name.startsWith('.')).map(({ name }) => name);
}

/** Undefined: there is no such file. */
async function modifiedAtMs(file: string): Promise<number | undefined> {
  const found = await stat(file).catch(() => undefined);
  return found?.isFile() ? found.mtimeMs : undefined;
}

/** RFC 9110 section 13.1.2: compared as weak ones. */
function isKnown(header: string | undefined, etag: string): boolean {
  const tags = header?.split(',').map((tag) => tag.trim().replace(/^W\//, '')) ?? [];
  return tags.includes(etag) || tags.includes('*');
}
