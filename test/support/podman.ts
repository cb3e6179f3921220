import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './child.ts';
import { TemporaryDirectory } from './loopback.ts';

/** The real podman with storage of its own (vfs, so that it needs no privileges on the file system), as root. */
export class Podman implements AsyncDisposable {
  readonly #folder: TemporaryDirectory;

  private constructor(folder: TemporaryDirectory) {
    this.#folder = folder;
  }

  /** `registriesConf` is where mirrors stand. */
  static async make(registriesConf: string): Promise<Podman> {
    const podman = new Podman(await TemporaryDirectory.make());
    await mkdir(join(podman.#folder.path, 'run'), { mode: 0o700 });
    const files = {
      'registries.conf': registriesConf,
      'storage.conf': `[storage]\ndriver = "vfs"\ngraphroot = "${podman.#path('root')}"\nrunroot = "${podman.#path('run')}"\n`,
      'policy.json': '{"default":[{"type":"insecureAcceptAnything"}]}',
      'containers.conf': '[engine]\nevents_logger = "none"\ncgroup_manager = "cgroupfs"\n',
    };
    for (const [name, text] of Object.entries(files)) await writeFile(podman.#path(name), text);
    return podman;
  }

  /** Pulls and unpacks an image; throws with what podman said. */
  async pull(image: string): Promise<void> {
    await this.#run(['pull', '--quiet', '--signature-policy', this.#path('policy.json'), image]);
  }

  /** The manifest's digest of an image that was pulled. */
  async digestOf(image: string): Promise<string> {
    return (await this.#run(['image', 'inspect', '--format', '{{.Digest}}', image])).trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#folder[Symbol.asyncDispose]();
  }

  #path(name: string): string {
    return join(this.#folder.path, name);
  }

  async #run(args: readonly string[]): Promise<string> {
    const env = {
      PATH: process.env.PATH,
      HOME: this.#folder.path,
      TMPDIR: this.#folder.path,
      XDG_RUNTIME_DIR: this.#path('run'),
      CONTAINERS_CONF: this.#path('containers.conf'),
      CONTAINERS_REGISTRIES_CONF: this.#path('registries.conf'),
      CONTAINERS_STORAGE_CONF: this.#path('storage.conf'),
    };
    const { code, stdout, stderr } = await run('podman', args, { env });
    if (code !== 0) throw new Error(`podman ${args.join(' ')}:\n${stderr}`);
    return stdout;
  }
}
