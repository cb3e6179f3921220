import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Credentials } from './gatekeeper.ts';
import { buildImage, type Image } from './image.ts';
import { OnepullProcess } from './onepull-process.ts';
import type { DemoPlan } from './plan.ts';
import { DemoRegistry } from './registry.ts';

/** What the nodes pull. */
export const repository = 'demo/app';
export const tag = '1.0';

/**
 * Everything a demo runs on, all of it on loopback and in one temporary folder: an upstream registry behind its line, in
 * this process, and onepull in one of its own. Disposing leaves nothing.
 */
export class Stage implements AsyncDisposable {
  readonly image: Image;
  readonly registry: DemoRegistry;
  readonly credentials: Credentials;
  readonly onepull: OnepullProcess;
  readonly #running: AsyncDisposableStack;

  private constructor(
    parts: Pick<Stage, 'image' | 'registry' | 'credentials' | 'onepull'>,
    running: AsyncDisposableStack,
  ) {
    this.image = parts.image;
    this.registry = parts.registry;
    this.credentials = parts.credentials;
    this.onepull = parts.onepull;
    this.#running = running;
  }

  static async open({ layerSizes, lineBytesPerSecond }: DemoPlan): Promise<Stage> {
    await using opening = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), 'onepull-demo-'));
    const removeAtLast = () => rmSync(folder, { recursive: true, force: true });
    process.once('exit', removeAtLast);
    opening.defer(async () => {
      await rm(folder, { recursive: true, force: true, maxRetries: 3 });
      process.off('exit', removeAtLast);
    });
    const image = buildImage({ seed: 'onepull demo', layerSizes });
    const credentials = { username: 'demo', password: randomBytes(12).toString('base64url') };
    const registry = opening.use(
      await DemoRegistry.start({ auth: { kind: 'token', credentials }, bytesPerSecond: lineBytesPerSecond }),
    );
    registry.content.add(repository, image, tag);
    const onepull = opening.use(await OnepullProcess.start({ folder, upstreamUrl: registry.url, credentials }));
    return new Stage({ image, registry, credentials, onepull }, opening.move());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running.disposeAsync();
  }
}
