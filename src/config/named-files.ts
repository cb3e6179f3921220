import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { anyName, settings } from './outline.ts';
import { pathText, type Tree, valueAt } from './tree.ts';

export interface FileFault {
  readonly path: readonly string[];
  readonly problem: string;
  readonly hint: string;
}

/** What must be right about each named file's content; the sentence says what is wrong. Nothing of it is repeated. */
const contentRules: Readonly<Record<string, (content: string) => string | undefined>> = {
  ca: (content) => (parses(() => new X509Certificate(content)) ? undefined : 'is not a certificate in PEM form'),
  cert: (content) => (parses(() => new X509Certificate(content)) ? undefined : 'is not a certificate in PEM form'),
  key: (content) => (parses(() => createPrivateKey(content)) ? undefined : 'is not a private key in PEM form'),
  passwordFile: (content) => (content.trim() === '' ? 'is empty' : undefined),
  dockerConfig: (content) => (parses(() => JSON.parse(content)) ? undefined : 'is not JSON'),
};

/** Looks at every file that the configuration names: it must be readable, and be what it is named for. */
export async function checkNamedFiles(tree: Tree, upstreamNames: readonly string[]): Promise<FileFault[]> {
  const faults: FileFault[] = [];
  for (const setting of settings().filter(({ kind }) => kind === 'file')) {
    for (const name of upstreamNames) {
      const path = setting.path.map((key) => (key === anyName ? name : key));
      const file = valueAt(tree, path);
      if (typeof file !== 'string' || file === '') continue;
      const problem = await faultOf(file, contentRules[path.at(-1) ?? '']);
      if (problem !== undefined) faults.push({ path, problem: `the file ${file} ${problem}`, hint: hintFor(path) });
    }
  }
  return faults;
}

async function faultOf(file: string, rule?: (content: string) => string | undefined): Promise<string | undefined> {
  try {
    return rule?.(await readFile(file, 'utf8'));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT') return 'does not exist';
    return code === 'EISDIR' ? 'is a folder' : `cannot be read (${String(code)})`;
  }
}

function hintFor(path: readonly string[]): string {
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
