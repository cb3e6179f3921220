import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Child, run } from './child.ts';
import { TemporaryDirectory, untilUp } from './loopback.ts';

/** What is of no use to a pull, or wants what a test machine lacks. */
const disabledPlugins = ['io.containerd.grpc.v1.cri', 'io.containerd.internal.v1.opt'];

/** The real containerd as a child with root, state and socket of its own, and `ctr` to talk to it. Needs root. */
export class Containerd implements AsyncDisposable {
  readonly #folder: TemporaryDirectory;
  readonly #child: Child;

  private constructor(folder: TemporaryDirectory, child: Child) {
    this.#folder = folder;
    this.#child = child;
  }

  static async start(): Promise<Containerd> {
    const folder = await TemporaryDirectory.make();
    const path = (name: string) => JSON.stringify(join(folder.path, name));
    const lines = [
      'version = 2',
      `root = ${path('root')}`,
      `state = ${path('state')}`,
      `disabled_plugins = ${JSON.stringify(disabledPlugins)}`,
      `[grpc]\n  address = ${path('containerd.sock')}`,
      `[ttrpc]\n  address = ${path('ttrpc.sock')}`,
    ];
    const config = join(folder.path, 'config.toml');
    await writeFile(config, `${lines.join('\n')}\n`);
    const containerd = new Containerd(folder, new Child('containerd', ['--config', config]));
    try {
      await untilUp(() => containerd.#answers(), 'containerd');
    } catch (cause) {
      await containerd[Symbol.asyncDispose]();
      throw new Error(`containerd does not answer:\n${containerd.#child.tail}`, { cause });
    }
    return containerd;
  }

  /** Sends pulls of a registry to `mirrorUrl` first, by a `hosts.toml` as an operator writes it. */
  async mirror(registry: string, mirrorUrl: string): Promise<void> {
    const host = `[host."${mirrorUrl}"]\n  capabilities = ["pull", "resolve"]\n`;
    await this.configure(registry, `server = "https://${registry}"\n\n${host}`);
  }

  /** Puts a `hosts.toml` where it belongs. */
  async configure(registry: string, hosts: string): Promise<void> {
    const folder = join(this.hostsFolder, registry);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'hosts.toml'), hosts);
  }

  /** Pulls and unpacks an image for this machine's platform, or for all of them; throws with what ctr said. */
  async pull(image: string, options: { readonly allPlatforms?: boolean } = {}): Promise<void> {
    const all = options.allPlatforms === true ? ['--all-platforms'] : [];
    await this.#ctr(['images', 'pull', '--hosts-dir', this.hostsFolder, '--snapshotter', 'native', ...all, image]);
  }

  /** The images that it has, by name, with the digest of each. */
  async images(): Promise<ReadonlyMap<string, string>> {
    const [, ...rows] = (await this.#ctr(['images', 'list'])).split('\n');
    return new Map(rows.map((row) => row.split(/\s+/)).map(([name = '', , digest = '']) => [name, digest]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.kill('SIGTERM');
    await this.#child[Symbol.asyncDispose]();
    await this.#folder[Symbol.asyncDispose]();
  }

  /** As `/etc/containerd/certs.d`. */
  get hostsFolder(): string {
    return join(this.#folder.path, 'hosts');
  }

  async #answers(): Promise<boolean> {
    if (!this.#child.isRunning) throw new Error('ended');
    return (await this.#call(['version'])).code === 0;
  }

  async #ctr(args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.#call(args);
    if (code !== 0) throw new Error(`ctr ${args.join(' ')}:\n${stderr}`);
    return stdout;
  }

  #call(args: readonly string[]) {
    const socket = join(this.#folder.path, 'containerd.sock');
    return run('ctr', ['--address', socket, ...args], { env: { PATH: process.env.PATH, TMPDIR: this.#folder.path } });
  }
}
