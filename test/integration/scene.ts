import type { DemoRegistryOptions } from '../../src/cli/demo/registry.ts';
import { PullClient } from '../support/client.ts';
import { Leaks } from '../support/leaks.ts';
import { OnepullApp } from '../support/onepull-app.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';

type Section = Readonly<Record<string, unknown>>;

export interface SceneOptions {
  readonly registry?: DemoRegistryOptions;
  /** Added to the registry's section under `upstreams`. */
  readonly upstream?: Section;
  /** Other sections of the configuration. */
  readonly configuration?: Section;
}

/** An upstream, onepull in this process as its mirror by the name `demo.example`, and one client. */
export interface Scene {
  readonly registry: ScriptedRegistry;
  readonly onepull: OnepullApp;
  readonly client: PullClient;
}

/** Runs `body`; afterwards no pull, partial file, descriptor, socket or timer may be left. */
export async function inScene(options: SceneOptions, body: (scene: Scene) => Promise<void>): Promise<void> {
  await leavingNothing(async () => {
    await using registry = await ScriptedRegistry.start(options.registry);
    await using onepull = await OnepullApp.start({
      ...options.configuration,
      upstreams: { 'demo.example': { url: registry.url, default: true, ...options.upstream } },
    });
    await using client = new PullClient(onepull.url);
    await body({ registry, onepull, client });
    await onepull.assertIdle();
  });
}

export async function leavingNothing(body: () => Promise<void>): Promise<void> {
  const leaks = await Leaks.watch();
  await body();
  await leaks.assertNone();
}
