import { readFileSync, writeFileSync } from 'node:fs';
import { parse } from 'yaml';
import { anyName, type Setting, settings } from '../src/config/outline.ts';
import { configSchema } from '../src/config/schema.ts';
import { isTree, type Tree, valueAt } from '../src/config/tree.ts';
import { defaultUpstreams } from '../src/config/upstream-schema.ts';
import { type ErrorCode, errorTable } from '../src/core/errors.ts';
import { openApiText, withTables } from './api-reference.ts';
import { commandsPage } from './commands-page.ts';
import { banner, table } from './markdown.ts';
import { metricsPage } from './metrics-page.ts';

/**
 * Writes the reference pages from the code: `npm run docs`. With `--check` it writes nothing and fails where a page is
 * not what the code says.
 */
function configurationPage(): string {
  const example = readFileSync(new URL('example.yaml', import.meta.url), 'utf8').trimEnd();
  checkExample(parse(example));
  const rows = settings().map((setting) => [
    `\`${setting.path.join('.')}\``,
    setting.form,
    defaultText(setting),
    setting.description,
    [`\`${setting.variable}\``, ...(setting.flag === undefined ? [] : [`\`--${setting.flag}\``])].join('<br>'),
  ]);
  const names = Object.entries(defaultUpstreams).map(([name, { url }]) => `\`${name}\` (${String(url)})`);
  return [
    '# Configuration',
    banner,
    `Nothing has to be configured. What is, comes from four places, where a later one overrides an earlier one: the
defaults, a YAML file (\`--config\`), environment variables, flags. \`onepull check [--config FILE]\` says everything
that is wrong with a configuration, each problem with its place and a hint, or what would run; it looks neither at the
data directory nor at the network. Unknown keys and unknown \`ONEPULL_\` variables are errors.`,
    `- A **size** is a number of bytes or has a unit: \`512MiB\`, \`50GiB\`, \`1.5TB\`.
- A **duration** has a unit: \`250ms\`, \`10s\`, \`1m30s\`, \`2h\`.
- A **list** in a variable is separated by commas. An empty variable counts as none.
- In a variable's name, \`<NAME>\` is the upstream's name in upper case with \`_\` for all that is no letter or digit:
  \`ONEPULL_UPSTREAMS_DOCKER_IO_TAG_TTL\`. Variables can change an upstream of the file or of the defaults, not add one.
- Paths are relative to the folder that onepull is started in.`,
    '## Keys',
    table(['Key', 'Type', 'Default', 'Meaning', 'Variable, flag'], rows),
    `An upstream has either \`url\` or \`endpoints\`. Of several upstreams exactly one is the default. Credentials are one of:
\`username\` with \`password\` or \`passwordFile\`; \`dockerConfig\`; \`helper\`.`,
    `Without \`upstreams\` the public registries are there, anonymous: ${names.join(', ')}. The first is the default.`,
    '## Complete example',
    `\`\`\`yaml\n${example}\n\`\`\``,
  ].join('\n\n');
}

function errorsPage(): string {
  const rows = Object.entries(errorTable()).map(([code, { status, oci, retryable }]) => [
    `\`${code}\``,
    String(status),
    `\`${oci}\``,
    retryable ? 'yes' : 'no',
    isErrorCode(code) ? errorMeanings[code] : '',
  ]);
  return [
    '# Errors',
    banner,
    `A client gets \`{"errors":[{"code","message","detail"}]}\` (distribution-spec, "Error Codes") with the OCI code and the
status below; where upstream answered with a status of its own in the 5xx range, that status goes on to the client. Logs
and metrics hold the code of the first column. "Again": the same request may succeed later.`,
    table(['Code', 'Status', 'OCI code', 'Again', 'Meaning'], rows),
  ].join('\n\n');
}

const errorMeanings: Readonly<Record<ErrorCode, string>> = {
  NAME_INVALID: 'The repository name is outside the grammar.',
  DIGEST_INVALID: 'The digest is malformed, or of an algorithm that cannot be verified.',
  REQUEST_MALFORMED: 'The request cannot be understood.',
  METHOD_UNSUPPORTED: 'The method is not served here; onepull is read-only.',
  PATH_UNKNOWN: 'The distribution API has no such path.',
  REGISTRY_UNKNOWN: 'The request names a registry that is not configured.',
  IMAGE_UNKNOWN: 'Of the admin API: there is no such image here.',
  PREHEAT_UNKNOWN: 'Of the admin API: there is no such preheat.',
  IMAGE_KEPT: 'Of the admin API: the image is pinned, or a part of one that stays.',
  RANGE_UNSATISFIABLE: 'The range begins beyond the end of the blob.',
  HEADERS_TOO_LARGE: "The request's headers are larger than `server.maxHeaderSize`.",
  REQUEST_TIMEOUT: 'The client took too long to send its request.',
  NAME_UNKNOWN: 'Upstream does not know the repository.',
  MANIFEST_UNKNOWN: 'Upstream does not know the tag or the manifest.',
  BLOB_UNKNOWN: 'The repository does not have the blob.',
  UPSTREAM_UNAUTHORIZED: 'Upstream wants credentials, or refused the configured ones.',
  UPSTREAM_DENIED: 'Upstream does not allow this.',
  UPSTREAM_RATE_LIMITED: 'Upstream limits us; `Retry-After` says how long.',
  UPSTREAM_FAILED: 'Upstream answered with an error of its own.',
  UPSTREAM_UNREACHABLE: 'No connection to upstream: name, network or TLS.',
  UPSTREAM_TIMEOUT: 'Upstream did not answer in time.',
  UPSTREAM_STALLED: 'Upstream stopped sending.',
  UPSTREAM_INTERRUPTED: "Upstream's answer broke off.",
  UPSTREAM_INVALID: 'Upstream answered what the protocol does not allow.',
  UPSTREAM_REDIRECT_REFUSED: 'Upstream redirects to where we do not go: see `redirects.allow`.',
  CONTENT_MISMATCH: 'What upstream sent does not have the digest asked for.',
  MANIFEST_TOO_LARGE: 'The manifest is larger than 4 MiB.',
  PULL_DEADLINE: 'The pull took longer than `pull.deadline`.',
  HEADER_TIMEOUT: 'The answer could not begin within `pull.headerTimeout`; the pull goes on.',
  STORAGE_FULL: 'The disk is full.',
  STORAGE_FAILED: 'The disk failed.',
  STORAGE_LOCKED: 'Another process uses the folder.',
  OVERLOADED: 'A configured bound is reached, such as `server.maxResponses`.',
  CLUSTER_UNAVAILABLE:
    'The engine that nodes share does not answer. Never told to a client: the node pulls on its own.',
  SHUTTING_DOWN: 'This node is stopping.',
  LISTEN_FAILED: 'The address cannot be listened on.',
  CONFIG_INVALID: 'The configuration is wrong: `onepull check` says how.',
  CANCELLED: 'Whoever asked gave up.',
  INTERNAL: 'A fault of onepull; the log has the stack.',
};

/** The example must be right, and show every key. */
function checkExample(example: unknown): void {
  const parsed = configSchema.safeParse(example);
  if (!parsed.success || !isTree(example)) throw new Error(`docs/example.yaml is wrong: ${parsed.error?.message}`);
  const sections: readonly unknown[] = isTree(example.upstreams) ? Object.values(example.upstreams) : [];
  for (const { path, rivals = [] } of settings()) {
    const inUpstream = path.slice(path.indexOf(anyName) + 1);
    const others = rivals.map((rival) => [...inUpstream.slice(0, -1), rival]);
    const places: readonly Tree[] = path.includes(anyName) ? sections.filter(isTree) : [example];
    // Of keys that exclude each other one is enough where there is only one section to show them.
    if (!path.includes(anyName) && others.some((other) => valueAt(example, other) !== undefined)) continue;
    if (!places.some((place) => valueAt(place, inUpstream) !== undefined)) {
      throw new Error(`docs/example.yaml lacks ${path.join('.')}`);
    }
  }
}

function defaultText({ default: fallback }: Setting): string {
  if (fallback === undefined) return '';
  if (Array.isArray(fallback) && fallback.length === 0) return 'none';
  return `\`${String(fallback)}\``;
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorMeanings, code);
}

/** Where two texts differ first, for whoever has to find out why. */
function firstDifference(had: string, want: string): string {
  const [oldLines, newLines] = [had.split('\n'), want.split('\n')];
  const index = newLines.findIndex((line, at) => line !== oldLines[at]);
  const at = index === -1 ? newLines.length : index;
  return `line ${at + 1}\n  - ${oldLines[at] ?? '(end)'}\n  + ${newLines[at] ?? '(end)'}`;
}

function readPage(url: URL): string {
  try {
    return readFileSync(url, 'utf8');
  } catch {
    return '';
  }
}

const pages: Readonly<Record<string, (had: string) => string>> = {
  'COMMANDS.md': commandsPage,
  'CONFIGURATION.md': configurationPage,
  'METRICS.md': metricsPage,
  'ERRORS.md': errorsPage,
  'API.md': (had) => withTables(had).trimEnd(),
  'openapi.json': openApiText,
};
for (const [name, render] of Object.entries(pages)) {
  const url = new URL(name, import.meta.url);
  const had = readPage(url);
  const want = `${render(had)}\n`;
  if (had === want) continue;
  if (!process.argv.includes('--check')) {
    writeFileSync(url, want);
    console.log(`docs/${name} is written`);
  } else {
    console.error(`docs/${name} is not what the code says: run 'npm run docs'. First at ${firstDifference(had, want)}`);
    process.exitCode = 1;
  }
}
