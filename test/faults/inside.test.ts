import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { leavingNothing } from '../integration/scene.ts';
import { PullClient } from '../support/client.ts';
import { Gate } from '../support/gate.ts';
import { OnepullProcess } from '../support/onepull-process.ts';
import { ScriptedRegistry } from '../support/scripted-registry.ts';

const mebibyte = 1024 * 1024;
const image = buildImage({ seed: 'inside', layerSizes: [12 * mebibyte] });
const layer = image.layers[0] as Content;
const heldAt = 8 * mebibyte;

/** Loaded by node before onepull: on a signal something goes wrong that no part of onepull foresees. */
function faultOn(signal: string, fault: string): string {
  const code = `process.on('${signal}', () => { ${fault} });`;
  return `--import=data:text/javascript,${encodeURIComponent(code)}`;
}

const faults = {
  'an exception that nobody catches': "setImmediate(() => { throw new Error('injected') });",
  'a rejection that nobody handles': "Promise.reject(new Error('injected'));",
};

for (const [what, code] of Object.entries(faults)) {
  test(`${what} is one line and the end, with code 1; the next start goes on at the first missing byte`, () =>
    leavingNothing(async () => {
      await using registry = await ScriptedRegistry.start();
      registry.content.add('org/app', image, 'v1');
      await using onepull = await OnepullProcess.start(
        { upstreams: { 'demo.example': { url: registry.url } }, server: { shutdownTimeout: '1h' } },
        { env: { NODE_OPTIONS: faultOn('SIGUSR2', code) } },
      );
      await using client = new PullClient(onepull.url);
      await client.manifest('org/app', 'v1');
      const hold = registry.hold(layer.digest, heldAt);
      const gate = new Gate();
      const cut = client.blob('org/app', layer.digest, { pauseAt: { afterBytes: heldAt, gate } });
      await gate.reached;
      gate.release();
      const gone = onepull.logged({ event: 'no such line' });
      process.kill(onepull.pid ?? 0, 'SIGUSR2');
      await assert.rejects(gone, /ended \(1\)/);
      assert.equal((await cut).outcome, 'cut');
      const lines = onepull.log.filter(({ event }) => event === 'fault');
      assert.deepEqual([lines.length, lines[0]?.level], [1, 'error']);
      assert.match(JSON.stringify(lines[0]), /injected/);
      hold.release();
      registry.tally.reset();
      await onepull.startAgain();
      await using again = new PullClient(onepull.url);
      assert.equal((await again.blob('org/app', layer.digest)).digest, layer.digest);
      assert.equal(registry.tally.bytesSent(layer.digest), layer.bytes.length - heldAt);
    }));
}

test('a machine that was suspended for longer than every timeout goes on with the pulls under way', () =>
  leavingNothing(async () => {
    await using registry = await ScriptedRegistry.start();
    registry.content.add('org/app', image, 'v1');
    await using onepull = await OnepullProcess.start({
      upstreams: { 'demo.example': { url: registry.url } },
      // More than it takes all clients to come so far.
      pull: { stallTimeout: '3s', headerTimeout: '3s' },
      server: { clientTimeout: '3s' },
    });
    const clients = Array.from({ length: 8 }, () => new PullClient(onepull.url));
    const [first] = clients as [PullClient];
    await first.manifest('org/app', 'v1');
    const hold = registry.hold(layer.digest, heldAt);
    const gates = clients.map(() => new Gate());
    // Some have all that there is, others are in the middle of it, with more on its way than the kernel holds for them.
    const pulls = clients.map((client, index) => {
      const gate = gates[index] as Gate;
      const afterBytes = index % 2 === 0 ? heldAt : 1;
      return client.blob('org/app', layer.digest, { pauseAt: { afterBytes, gate } });
    });
    await Promise.all(gates.map(({ reached }) => reached));
    const pid = onepull.pid ?? 0;
    process.kill(pid, 'SIGSTOP');
    hold.release();
    for (const gate of gates) gate.release();
    // The time has to pass: it is what the test is about.
    await delay(6_000);
    process.kill(pid, 'SIGCONT');
    for (const { outcome, digest } of await Promise.all(pulls))
      assert.deepEqual([outcome, digest], ['complete', layer.digest]);
  }));
