import { createReadStream } from 'node:fs';
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import type { Path, Problem } from './problems.ts';
import { isTree, type Tree } from './tree.ts';

const maxFileBytes = 1024 * 1024;

export interface YamlFile {
  readonly tree: Tree;
  /** Where the key or the list item at `path` stands, as `file:line:column`. */
  locate(path: Path): string | undefined;
}

/** What the parser's codes mean. Its own texts quote the file, which may hold a password. */
const sentences: Readonly<Record<string, readonly [problem: string, hint: string]>> = {
  DUPLICATE_KEY: ['stands twice in the same section', 'keep one of them'],
  TAB_AS_INDENT: ['is indented with a tab', 'YAML wants spaces'],
  BAD_INDENT: [
    'is indented wrongly',
    'the keys of one section begin in the same column; a bracket or quote left open above it also reads so',
  ],
  MISSING_CHAR: ['lacks a closing quote, bracket or brace, or a colon', 'it may be missing on a line before this one'],
  BAD_SCALAR_START: ['has a value that begins with a reserved character', 'put the value in quotes'],
  BLOCK_AS_IMPLICIT_KEY: [
    'has a colon or an indentation where YAML expects none',
    'put a value with a colon in quotes; the keys of one section begin in the same column',
  ],
  MULTILINE_IMPLICIT_KEY: ['has a key over several lines', 'is a colon missing?'],
  MULTIPLE_DOCS: ['holds several documents where one is expected', 'keep the first, without the line ---'],
  TAG_RESOLVE_FAILED: ['has a value with a tag (!)', 'put the value in quotes'],
};
const unknownFault: readonly [problem: string, hint: string] = [
  'is not valid YAML',
  'look at this line and the one before it; a value in quotes is always text',
];

/** Reads a configuration file. `problems` may stand beside a `file` that was understood in spite of them. */
export async function readYamlFile(path: string): Promise<{ file: YamlFile | undefined; problems: Problem[] }> {
  const failed = (problem: string, hint: string) => ({
    file: undefined,
    problems: [{ path, problem, hint, source: undefined }],
  });
  let source: string;
  try {
    const bytes = await readBounded(path);
    if (bytes.length > maxFileBytes) return failed('is too large for a configuration', 'at most 1 MiB');
    source = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    return failed(...readFailure(error));
  }

  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false, logLevel: 'error' });
  const faults = [...document.errors, ...document.warnings].map(({ code, pos }) => {
    const [problem, hint] = sentences[code] ?? unknownFault;
    const place = code === 'DUPLICATE_KEY' ? keyAt(source, pos[0]) : path;
    return { code, problem: { path: place, problem, hint, source: at(path, lines, pos[0]) } };
  });
  const broken = faults.find(({ code }) => code !== 'DUPLICATE_KEY');
  // After a syntax error the parser guesses; only the first one is worth reading.
  if (broken !== undefined) return { file: undefined, problems: [broken.problem] };

  const tree = plain(document);
  if (!isTree(tree)) return failed('is not YAML with keys at its top', 'for example: listen: 0.0.0.0:5000');
  const locate = (keys: Path) => {
    const offset = offsetOf(document, keys);
    return offset === undefined ? undefined : at(path, lines, offset);
  };
  return { file: { tree, locate }, problems: faults.map(({ problem }) => problem) };
}

async function readBounded(path: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of createReadStream(path, { end: maxFileBytes })) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function readFailure(error: unknown): [problem: string, hint: string] {
  if (error instanceof TypeError) return ['is not text in UTF-8', 'save it as UTF-8'];
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const wanted = '--config is the path of a YAML file, relative to the folder that onepull is started in';
  if (code === 'ENOENT') return ['does not exist', wanted];
  if (code === 'EISDIR') return ['is a folder, not a file', 'name the file in it, such as onepull.yaml'];
  return code === 'EACCES'
    ? ['may not be read by this user', 'its owner and mode, and those of its folders, say who may']
    : [`cannot be read (${String(code)})`, wanted];
}

/** Plain values in which no two places share an object; an empty file is an empty section. */
function plain(document: Document): unknown {
  try {
    return JSON.parse(JSON.stringify(document.toJS() ?? {}), (key, value) => {
      if (key === '__proto__') throw new SyntaxError('a key that no section has');
      return value;
    });
  } catch {
    // An alias (*name) that leads nowhere or too many of them, or a key that would change what objects are.
    return undefined;
  }
}

function keyAt(source: string, offset: number): string {
  return /^["']?([\w.:-]{1,80}?)["']?\s*:(?:\s|$)/.exec(source.slice(offset, offset + 100))?.[1] ?? 'a key';
}

function at(path: string, lines: LineCounter, offset: number): string {
  const { line, col } = lines.linePos(offset);
  return `${path}:${line}:${col}`;
}

function offsetOf(document: Document, path: Path): number | undefined {
  let node: unknown = document.contents;
  let offset: number | undefined;
  for (const key of path) {
    if (isAlias(node)) node = node.resolve(document);
    let found: Node | undefined;
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === key);
      node = pair?.value;
      found = isScalar(pair?.key) ? pair.key : undefined;
    } else if (isSeq(node) && typeof key === 'number') {
      const item: unknown = node.items[key];
      node = item;
      found = isScalar(item) || isMap(item) || isSeq(item) ? item : undefined;
    }
    offset = found?.range?.[0];
    if (offset === undefined) return undefined;
  }
  return offset;
}
