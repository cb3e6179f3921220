import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeCertificate, type TestCertificate } from '../../core/testing/certificates.ts';
import { VirtualClock } from '../../core/testing/virtual-clock.ts';
import { Channels, type NoticeEvent } from '../../telemetry/channels.ts';
import { until } from '../testing/test-gateway.ts';
import { CertificateWatch } from './certificate-watch.ts';
import type { ServerCertificate } from './tls-front.ts';

const dayMs = 24 * 3_600_000;
const [first, second] = [makeCertificate(), makeCertificate()];

class Scene {
  readonly clock = new VirtualClock(Date.now());
  readonly folder: string;
  readonly notices: NoticeEvent[] = [];
  readonly told: ServerCertificate[] = [];
  readonly watch: CertificateWatch;

  private constructor(folder: string, clock: VirtualClock, watch: CertificateWatch, channels: Channels) {
    this.folder = folder;
    this.clock = clock;
    this.watch = watch;
    channels.notice.subscribe((event) => this.notices.push(event));
    watch.subscribe((certificate) => this.told.push(certificate));
  }

  static async open(context: TestContext, { cert, key }: TestCertificate = first): Promise<Scene> {
    const folder = await mkdtemp(join(tmpdir(), 'onepull-watch-'));
    context.after(() => rm(folder, { recursive: true }));
    const [clock, channels] = [new VirtualClock(Date.now()), new Channels()];
    const files = { certFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') };
    await writeFile(files.certFile, cert);
    await writeFile(files.keyFile, key);
    const watch = await CertificateWatch.open({ clock, channels }, files);
    context.after(() => {
      watch[Symbol.dispose]();
      assert.equal(clock.pending, 0, 'timers left');
    });
    return new Scene(folder, clock, watch, channels);
  }

  write(part: 'tls.crt' | 'tls.key', content: string): Promise<void> {
    return writeFile(join(this.folder, part), content);
  }

  /** Time passes until the files have been looked at once more. */
  async look(): Promise<void> {
    this.clock.advance(5_000);
    await until(() => this.clock.pending > 0);
  }

  get said(): string[] {
    return this.notices.map(({ level, message }) => `${level}: ${message}`);
  }
}

const kept = 'warn: the files of the certificate have changed and cannot be used: the old one stays';
const changed = 'info: new connections are shown the new certificate';

test('a new pair is used as soon as both files are there, and nothing is said of the moment between', async (context) => {
  const scene = await Scene.open(context);
  await scene.look();
  assert.deepEqual([scene.told.length, scene.watch.current.cert], [0, first.cert]);
  await scene.write('tls.crt', second.cert);
  await scene.look();
  assert.equal(scene.watch.current.cert, first.cert);
  await scene.write('tls.key', second.key);
  await scene.look();
  assert.deepEqual(scene.told, [scene.watch.current]);
  assert.deepEqual([scene.watch.current.cert, scene.watch.current.key], [second.cert, second.key]);
  assert.deepEqual(scene.said, [changed]);
});

test('a pair that cannot be used is said once, and the old one stays until there is a better one', async (context) => {
  const scene = await Scene.open(context);
  for (const [cert, key, problem] of [
    [second.cert, first.key, /tls\.key is not the key of the certificate/],
    ['', first.key, /tls\.crt is not a certificate/],
    [first.cert, 'hunter2', /tls\.key is not a private key/],
  ] as const) {
    scene.notices.length = 0;
    await scene.write('tls.crt', cert);
    await scene.write('tls.key', key);
    for (let looks = 0; looks < 4; looks++) await scene.look();
    assert.deepEqual(scene.said, [kept]);
    assert.match(String(scene.notices[0]?.fields?.problem), problem);
    assert.doesNotMatch(JSON.stringify(scene.notices), /hunter2/);
  }
  assert.deepEqual([scene.told.length, scene.watch.current.key], [0, first.key]);
  await scene.write('tls.crt', second.cert);
  await scene.write('tls.key', second.key);
  await scene.look();
  assert.equal(scene.watch.current.cert, second.cert);
});

test('files that are gone for a while change nothing', async (context) => {
  const scene = await Scene.open(context);
  await rm(join(scene.folder, 'tls.key'));
  for (let looks = 0; looks < 3; looks++) await scene.look();
  assert.deepEqual(scene.said, [kept]);
  await scene.write('tls.key', first.key);
  await scene.look();
  assert.deepEqual([scene.said, scene.told.length], [[kept], 0]);
});

test('a link that is swapped two folders up, as Kubernetes does it, is a change', async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'onepull-watch-'));
  context.after(() => rm(folder, { recursive: true }));
  for (const [name, { cert, key }] of [
    ['..2026_01', first],
    ['..2026_02', second],
  ] as const) {
    await mkdir(join(folder, name));
    await writeFile(join(folder, name, 'tls.crt'), cert);
    await writeFile(join(folder, name, 'tls.key'), key);
  }
  await symlink('..2026_01', join(folder, '..data'));
  for (const name of ['tls.crt', 'tls.key']) await symlink(join('..data', name), join(folder, name));
  const [clock, channels] = [new VirtualClock(Date.now()), new Channels()];
  const files = { certFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') };
  using watch = await CertificateWatch.open({ clock, channels }, files);
  assert.equal(watch.current.cert, first.cert);
  await symlink('..2026_02', join(folder, '..data_tmp'));
  await rename(join(folder, '..data_tmp'), join(folder, '..data'));
  clock.advance(5_000);
  await until(() => clock.pending > 0);
  assert.deepEqual([watch.current.cert, watch.current.key], [second.cert, second.key]);
});

test('one that has expired never takes the place of another one', async (context) => {
  const scene = await Scene.open(context);
  const old = makeCertificate(-1);
  await scene.write('tls.crt', old.cert);
  await scene.write('tls.key', old.key);
  for (let looks = 0; looks < 3; looks++) await scene.look();
  assert.deepEqual([scene.told.length, scene.watch.current.cert], [0, first.cert]);
  assert.match(String(scene.notices[0]?.fields?.problem), /has expired at 20/);
});

test('that the current one expires is said when it does, and shown until it is replaced', async (context) => {
  const scene = await Scene.open(context);
  assert.deepEqual(scene.watch.warnings(), []);
  assert.ok(Math.abs(scene.watch.untilMs - Date.now() - 2 * dayMs) < 60_000);
  scene.clock.setBy(3 * dayMs);
  for (let looks = 0; looks < 3; looks++) await scene.look();
  assert.deepEqual(scene.said, ['error: the certificate has expired']);
  assert.match(scene.watch.warnings().join(), /tls\.crt has expired/);
  const next = makeCertificate(30);
  await scene.write('tls.crt', next.cert);
  await scene.write('tls.key', next.key);
  await scene.look();
  assert.deepEqual(scene.watch.warnings(), []);
});

test('onepull starts with one that has expired, for some clients do not look', async (context) => {
  const scene = await Scene.open(context, makeCertificate(-1));
  assert.equal(scene.watch.warnings().length, 1);
  await scene.look();
  assert.deepEqual(scene.said, [], 'the check of the configuration has said it');
});

test('a pair that cannot be used at the start is refused by the name of its file', async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'onepull-watch-'));
  context.after(() => rm(folder, { recursive: true }));
  const [clock, channels] = [new VirtualClock(), new Channels()];
  const files = { certFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') };
  const open = () => CertificateWatch.open({ clock, channels }, files);
  await assert.rejects(open(), { code: 'CONFIG_INVALID', message: /server\.tls: ENOENT.*tls\.(crt|key)/ });
  await writeFile(files.certFile, first.cert);
  await writeFile(files.keyFile, second.key);
  await assert.rejects(open(), { code: 'CONFIG_INVALID', message: /tls\.key is not the key of the certificate/ });
  assert.equal(clock.pending, 0);
});

test('the keys of tickets are new twice a day, and stay when the certificate changes', async (context) => {
  const scene = await Scene.open(context);
  const { ticketKeys } = scene.watch.current;
  assert.equal(ticketKeys.length, 48);
  await scene.write('tls.crt', second.cert);
  await scene.write('tls.key', second.key);
  await scene.look();
  assert.deepEqual(scene.watch.current.ticketKeys, ticketKeys);
  scene.clock.advance(12 * 3_600_000);
  await scene.look();
  assert.equal(scene.told.length, 2);
  assert.notDeepEqual(scene.watch.current.ticketKeys, ticketKeys);
  assert.equal(scene.watch.current.cert, second.cert);
});

test('after disposal nobody is told anything, not of a look that was under way either', async (context) => {
  const scene = await Scene.open(context);
  await scene.write('tls.crt', second.cert);
  await scene.write('tls.key', second.key);
  scene.clock.advance(5_000);
  scene.watch[Symbol.dispose]();
  for (let turn = 0; turn < 20; turn++) await readFile(join(scene.folder, 'tls.key'));
  assert.deepEqual([scene.told.length, scene.said, scene.clock.pending], [0, [], 0]);
});
