import { join } from 'node:path';
import { Child, run } from '../support/child.ts';

const suite = 'github.com/opencontainers/distribution-spec/conformance@v0.0.0-20260831232431-97274622c111';

/** What a registry that takes no pushes has for the suite to read (`roData` of its configuration). */
export interface Preloaded {
  readonly tags: readonly string[];
  readonly manifests: readonly string[];
  readonly blobs: readonly string[];
  /** Manifests whose referrers are asked for. */
  readonly subjects: readonly string[];
  /** Whether its listing of tags is as the specification says. */
  readonly listsTags: boolean;
}

/** The OCI distribution-spec conformance suite, a Go program, built in a folder of the caller's. */
export class ConformanceSuite {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Fetches and builds it; in words why that cannot be done here. */
  static async build(folder: string): Promise<ConformanceSuite | { readonly missing: string }> {
    try {
      const built = await run('go', ['install', suite], { cwd: folder, env: { ...process.env, GOBIN: folder } });
      if (built.code === 0) return new ConformanceSuite(folder);
      return { missing: `"go install ${suite}" failed:\n${built.stderr}` };
    } catch (error) {
      return { missing: `Go cannot be run (${error instanceof Error ? error.message : error})` };
    }
  }

  /** Has the suite push all of its content into `repository` at `host`. How the registry does is not our matter. */
  async fill(host: string, repository: string): Promise<void> {
    await this.#run('fill', host, repository, {
      OCI_API_BLOBS_DELETE: 'false',
      OCI_API_MANIFESTS_DELETE: 'false',
      OCI_API_TAGS_DELETE: 'false',
    });
  }

  /** Everything that a read-only registry can be asked: pull and content discovery. */
  async read(name: string, host: string, repository: string, data: Preloaded): Promise<Outcome> {
    return this.#run(name, host, repository, {
      OCI_API_PUSH: 'false',
      OCI_API_BLOBS_DELETE: 'false',
      OCI_API_MANIFESTS_DELETE: 'false',
      OCI_API_TAGS_DELETE: 'false',
      OCI_API_BLOBS_DIGEST_HEADER: 'true', // that of manifests the suite only looks at where it pushed them itself
      OCI_API_TAGS_LIST: String(data.listsTags),
      OCI_RO_DATA_TAGS: data.tags.join(' '),
      OCI_RO_DATA_MANIFESTS: data.manifests.join(' '),
      OCI_RO_DATA_BLOBS: data.blobs.join(' '),
      OCI_RO_DATA_REFERRERS: data.subjects.join(' '),
    });
  }

  async #run(name: string, host: string, repository: string, settings: Record<string, string>): Promise<Outcome> {
    const results = join(this.#folder, name);
    const env = {
      PATH: process.env.PATH,
      OCI_REGISTRY: host,
      OCI_TLS: 'disabled',
      OCI_REPO1: repository,
      OCI_REPO2: `${repository}-2`,
      OCI_RESULTS_DIR: results,
      ...settings,
    };
    await using child = new Child(join(this.#folder, 'conformance'), [], { cwd: this.#folder, env });
    const { code } = await child.exited;
    // Without pushes this version of the suite dies while it writes its files: of that run the printed result counts.
    const isPass = child.stdout.includes('OCI Conformance Result: Pass');
    return { passed: isPass, summary: isPass ? counts(child.stdout) : [...child.stdout, ...child.stderr], code };
  }
}

export interface Outcome {
  readonly passed: boolean;
  /** What the suite printed: of a run without failures, its tables only. */
  readonly summary: readonly string[];
  readonly code: number | null;
}

function counts(lines: readonly string[]): readonly string[] {
  return lines.slice(lines.findIndex((line) => line.startsWith('OCI Conformance Result'))).filter(isTold);
}

/** Without the rows of what a read-only registry is not asked. */
function isTold(line: string): boolean {
  return line !== '' && !/: +(Disabled|Unknown|0)$/.test(line);
}
