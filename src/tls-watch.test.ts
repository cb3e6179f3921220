import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeCertificate, type TestCertificate } from './core/testing/certificates.ts';
import { VirtualClock } from './core/testing/virtual-clock.ts';
import { Channels, type NoticeEvent } from './telemetry/channels.ts';
import type { TlsTexts } from './tls-files.ts';
import { TlsWatch } from './tls-watch.ts';

const [old, renewed, authority] = [makeCertificate(), makeCertificate(30), makeCertificate()];

class Scene {
  readonly clock = new VirtualClock(Date.now());
  readonly channels = new Channels();
  readonly notices: NoticeEvent[] = [];
  readonly told: TlsTexts[] = [];
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
    this.channels.notice.subscribe((notice) => this.notices.push(notice));
  }

  static async make(context: TestContext): Promise<Scene> {
    const folder = await mkdtemp(join(tmpdir(), 'onepull-tls-watch-'));
    context.after(() => rm(folder, { recursive: true }));
    const scene = new Scene(folder);
    await scene.write({ ...old, ca: authority.cert });
    return scene;
  }

  async open(context: TestContext): Promise<TlsWatch> {
    const [caFile, certFile, keyFile] = ['ca', 'cert', 'key'].map((name) => join(this.folder, name));
    const watch = await TlsWatch.open(this, { caFile, certFile, keyFile }, 'cluster.peer.tls');
    watch.subscribe((texts) => this.told.push(texts));
    context.after(() => {
      watch[Symbol.dispose]();
      assert.equal(this.clock.pending, 0);
    });
    return watch;
  }

  async write(texts: Partial<TestCertificate & { ca: string }>): Promise<void> {
    for (const [name, text] of Object.entries(texts)) await writeFile(join(this.folder, name), text);
  }

  /** Time passes until the files have been looked at once more. */
  async look(): Promise<void> {
    this.clock.advance(5_000);
    while (this.clock.pending === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

test('files that have changed are used once they fit each other', async (context) => {
  const scene = await Scene.make(context);
  const watch = await scene.open(context);
  await scene.look();
  await scene.write({ cert: renewed.cert });
  await scene.look();
  assert.deepEqual([scene.told, watch.current.cert], [[], old.cert]);
  await scene.write({ key: renewed.key, ca: renewed.cert });
  await scene.look();
  assert.deepEqual(scene.told, [{ ...renewed, ca: renewed.cert }]);
  assert.deepEqual(
    scene.notices.map(({ level }) => level),
    ['info'],
  );
});

test('what cannot be used is told once, and changes nothing', async (context) => {
  const scene = await Scene.make(context);
  const watch = await scene.open(context);
  for (const [texts, problem] of [
    [{ ca: '' }, /ca is not a certificate/],
    [{ ca: authority.cert, key: renewed.key }, /key is not the key of the certificate/],
    [{ ...makeCertificate(-1) }, /cert has expired/],
  ] as const) {
    scene.notices.length = 0;
    await scene.write(texts);
    for (let looks = 0; looks < 4; looks++) await scene.look();
    assert.equal(scene.notices.length, 1);
    assert.match(String(scene.notices[0]?.fields?.problem), problem);
  }
  assert.deepEqual([scene.told, watch.current], [[], { ...old, ca: authority.cert }]);
  await rm(join(scene.folder, 'key'));
  for (let looks = 0; looks < 2; looks++) await scene.look();
  assert.match(String(scene.notices.at(-1)?.fields?.problem), /ENOENT/);
});

test('a certificate that has expired meanwhile is a warning', async (context) => {
  const scene = await Scene.make(context);
  const watch = await scene.open(context);
  assert.deepEqual(watch.warnings(), []);
  scene.clock.setBy(3 * 24 * 3_600_000);
  assert.match(watch.warnings().join(), /cert \(cluster\.peer\.tls\) has expired/);
});

test('a file that cannot be used at the start is refused, by its name', async (context) => {
  const scene = await Scene.make(context);
  await scene.write({ key: renewed.key });
  await assert.rejects(scene.open(context), {
    code: 'CONFIG_INVALID',
    message: /cluster\.peer\.tls: .*key is not the/,
  });
  assert.equal(scene.clock.pending, 0);
});
