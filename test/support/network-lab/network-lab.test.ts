import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { output } from './commands.ts';
import type { LabHost } from './lab-host.ts';
import { NetworkLab } from './network-lab.ts';
import { enterOwnNetwork } from './own-network.ts';

const skip = await enterOwnNetwork();
const ask =
  'const at = performance.now(); const body = await (await fetch(process.argv[1], { signal: AbortSignal.timeout(Number(process.argv[2])) })).bytes();' +
  'console.log(JSON.stringify({ bytes: body.length, ms: performance.now() - at }));';

/** What a host got from a URL, or undefined where nothing came within the time. */
async function get(
  host: LabHost,
  url: string,
  patienceMs = 60_000,
): Promise<{ bytes: number; ms: number } | undefined> {
  const { code, stdout } = await host.run(process.execPath, [
    '--input-type=module',
    '-e',
    ask,
    url,
    String(patienceMs),
  ]);
  return code === 0 ? JSON.parse(stdout) : undefined;
}

/** A lab with this process in it, which serves as many bytes as its path says. */
async function withLab(body: (lab: NetworkLab, self: LabHost, url: string) => Promise<void>): Promise<void> {
  await using lab = await NetworkLab.open();
  const self = await lab.attach();
  const server = createServer((request, response) => response.end(Buffer.alloc(Number(request.url?.slice(1)))));
  server.listen(0, self.address);
  await once(server, 'listening');
  try {
    await body(lab, self, `http://${self.address}:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test('a line is no faster than it is told, in either direction, and counts what goes over it', { skip }, () =>
  withLab(async (lab, self, url) => {
    const bytes = 1_000_000;
    const host = await lab.host('slow', { downBitsPerSecond: 8_000_000 });
    // But for what fits into a burst, that takes a second.
    const down = await get(host, `${url}/${bytes}`);
    assert.equal(down?.bytes, bytes);
    assert.ok(down.ms > 800, `${down.ms} ms`);
    const { received, sent } = await host.lineBytes();
    assert.ok(received > bytes && sent > 0 && sent < bytes);

    await host.shape({});
    await self.shape({ upBitsPerSecond: 8_000_000 });
    const up = await get(host, `${url}/${bytes}`);
    assert.ok(up !== undefined && up.ms > 800, `${up?.ms} ms`);
  }),
);

test('hosts that are cut off from each other are so until it is healed; from others they are not', { skip }, () =>
  withLab(async (lab, self, url) => {
    const [a, b] = await lab.hosts([{ name: 'a' }, { name: 'b' }]);
    assert.ok(a && b);
    {
      await using _all = await lab.cut([self], [a, b]);
      await using _twice = await lab.cut([a], [self]);
      assert.equal(await get(a, `${url}/1`, 500), undefined);
    }
    assert.equal((await get(a, `${url}/1`))?.bytes, 1);
    const cut = await lab.cut([a], [self]);
    assert.equal(await get(a, `${url}/1`, 500), undefined);
    assert.equal((await get(b, `${url}/1`))?.bytes, 1);
    await cut.heal();
    assert.equal((await get(a, `${url}/1`))?.bytes, 1);
  }),
);

test('a far host is as far as it is told, and gets everything though packets are lost', { skip }, () =>
  withLab(async (lab, _self, url) => {
    const host = await lab.host('far', { delayMs: 40, loss: 0 });
    // Its connection and its request go there and back once each.
    const far = await get(host, `${url}/100000`);
    assert.equal(far?.bytes, 100_000);
    assert.ok(far.ms >= 4 * 40, `${far.ms} ms`);
    await host.shape({ loss: 0.02 });
    assert.equal((await get(host, `${url}/1000000`))?.bytes, 1_000_000);
    await host.shape({ loss: 1 });
    assert.equal(await get(host, `${url}/1`, 500), undefined);
  }),
);

test('nothing is left of a lab, whatever still runs in it', { skip }, async () => {
  for (let time = 0; time < 2; time++) {
    await using lab = await NetworkLab.open();
    await lab.attach({ delayMs: 1 });
    const [host] = await lab.hosts([{ name: 'near' }, { name: 'far', delayMs: 1 }]);
    const child = host?.spawn('sleep', ['600']);
    await lab[Symbol.asyncDispose]();
    assert.equal((await child?.exited)?.signal, 'SIGKILL');
    assert.equal(await output('ip', ['netns']), '');
    const devices = JSON.parse(await output('ip', ['-j', 'link'])) as { ifname: string }[];
    assert.deepEqual(
      devices.map(({ ifname }) => ifname),
      ['lo'],
    );
  }
});
