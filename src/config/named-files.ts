import { readFile } from 'node:fs/promises';
import { certificateProblem, keyProblem, pairProblem, validityOf } from '../core/key-pair.ts';
import { adminTokenProblem, secretHint } from './admin-access.ts';
import { leastSecretLength } from './cluster-rules.ts';
import { anyName, settings } from './outline.ts';
import { pathText, type Tree, valueAt } from './tree.ts';

export interface FileFault {
  readonly path: readonly string[];
  readonly problem: string;
  readonly hint: string;
}

/** What must be right about each named file's content; the sentence says what is wrong. Nothing of it is repeated. */
const contentRules: Readonly<Record<string, (content: string) => string | undefined>> = {
  ca: certificateProblem,
  cert: certificateProblem,
  key: keyProblem,
  passwordFile: (content) => (content.trim() === '' ? 'is empty' : undefined),
  adminTokenFile: (content) => adminTokenProblem(content.replace(/\r?\n$/, '')),
  sentinelPasswordFile: (content) => (content.trim() === '' ? 'is empty' : undefined),
  secretFile: (content) =>
    content.trim().length < leastSecretLength ? `holds less than ${leastSecretLength} characters` : undefined,
  dockerConfig: (content) => (parses(() => JSON.parse(content)) ? undefined : 'is not JSON'),
};

/** What to do about a file that is there, but is not what it is named for. */
const contentHints: Readonly<Record<string, string>> = {
  passwordFile: 'the file holds the password, and nothing else',
  sentinelPasswordFile: 'the file holds the password, and nothing else',
  adminTokenFile: secretHint,
  secretFile: secretHint,
};

interface NamedFile {
  readonly path: readonly string[];
  readonly file: string;
  /** Undefined where it cannot be read. */
  readonly content: string | undefined;
  readonly problem: string | undefined;
}

/**
 * Looks at every file that the configuration names: it must be readable, and be what it is named for. Notices are about what
 * is allowed but an operator should know.
 */
export async function checkNamedFiles(
  tree: Tree,
  upstreamNames: readonly string[],
): Promise<{ readonly faults: FileFault[]; readonly notices: string[] }> {
  const files: NamedFile[] = [];
  for (const setting of settings().filter(({ kind }) => kind === 'file')) {
    for (const name of setting.path.includes(anyName) ? upstreamNames : ['']) {
      const path = setting.path.map((key) => (key === anyName ? name : key));
      const file = valueAt(tree, path);
      if (typeof file === 'string' && file !== '') files.push({ path, file, ...(await look(file, path)) });
    }
  }
  const faults = files.flatMap(({ path, file, content, problem }) =>
    problem === undefined ? [] : [{ path, problem: `the file ${file} ${problem}`, hint: hintFor(path, content) }],
  );
  return {
    faults: [...faults, ...files.flatMap((key) => pairFault(key, files))],
    notices: files.flatMap(expiryNotice),
  };
}

/** A key that does not fit the certificate that stands beside it. */
function pairFault({ path, file, content, problem }: NamedFile, files: readonly NamedFile[]): FileFault[] {
  if (path.at(-1) !== 'key' || content === undefined || problem !== undefined) return [];
  const beside = pathText([...path.slice(0, -1), 'cert']);
  const certificate = files.find((other) => pathText(other.path) === beside);
  if (certificate?.content === undefined) return [];
  const misfit = pairProblem(certificate.content, content);
  const hint = `name the key that ${certificate.file} was made with, or that one's certificate`;
  return misfit === undefined ? [] : [{ path, problem: `the file ${file} ${misfit}`, hint }];
}

function expiryNotice({ path, file, content, problem }: NamedFile): string[] {
  if (path.at(-1) !== 'cert' || content === undefined || problem !== undefined) return [];
  const { fromMs, untilMs } = validityOf(content);
  const day = (ms: number) => new Date(ms).toISOString();
  if (untilMs <= Date.now()) return [`${pathText(path)}: the certificate in ${file} has expired at ${day(untilMs)}`];
  return fromMs > Date.now() ? [`${pathText(path)}: the certificate in ${file} holds from ${day(fromMs)} on only`] : [];
}

async function look(file: string, path: readonly string[]): Promise<Pick<NamedFile, 'content' | 'problem'>> {
  try {
    const content = await readFile(file, 'utf8');
    return { content, problem: contentRules[path.at(-1) ?? '']?.(content) };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT') return { content: undefined, problem: 'does not exist' };
    return { content: undefined, problem: code === 'EISDIR' ? 'is a folder' : `cannot be read (${String(code)})` };
  }
}

function hintFor(path: readonly string[], content: string | undefined): string {
  const about = content === undefined ? undefined : contentHints[path.at(-1) ?? ''];
  if (about !== undefined) return about;
  return `${pathText(path.slice(-1))} is the path of a file, relative to the folder that onepull is started in`;
}

function parses(parse: () => unknown): boolean {
  try {
    parse();
    return true;
  } catch {
    return false;
  }
}
