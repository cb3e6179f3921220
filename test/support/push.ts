import assert from 'node:assert/strict';
import { Agent } from 'node:http';
import type { Credentials } from '../../src/cli/demo/gatekeeper.ts';
import type { Artifact, Content, Image, ImageIndex } from '../../src/cli/demo/image.ts';
import { RegistrySession, readAll } from './registry-session.ts';

/** Pushes by the registry's own API: each blob in one piece, then the manifests, children before their index. */
export async function push(
  origin: string,
  repository: string,
  tag: string,
  what: Image | ImageIndex | Artifact,
  credentials?: Credentials,
): Promise<void> {
  const agent = new Agent({ keepAlive: true });
  try {
    const session = new RegistrySession({ agent }, origin, { credentials });
    const parts = 'index' in what ? what.images : [what];
    for (const { config, layers, manifest } of parts) {
      for (const blob of [config, ...layers]) await pushBlob(session, repository, blob);
      await pushManifest(session, repository, 'index' in what ? manifest.digest : tag, manifest);
    }
    if ('index' in what) await pushManifest(session, repository, tag, what.index);
  } finally {
    agent.destroy();
  }
}

async function pushBlob(session: RegistrySession, repository: string, blob: Content): Promise<void> {
  const head = await session.open('HEAD', `/v2/${repository}/blobs/${blob.digest}`);
  await readAll(head);
  if (head.statusCode === 200) return;
  const opened = await session.open('POST', `/v2/${repository}/blobs/uploads/`, { body: Buffer.alloc(0) });
  await expectStatus(opened, 202, 'upload');
  const location = new URL(opened.headers.location ?? '', 'http://relative');
  location.searchParams.set('digest', blob.digest);
  const put = await session.open('PUT', `${location.pathname}${location.search}`, {
    headers: { 'content-type': 'application/octet-stream' },
    body: blob.bytes,
  });
  await expectStatus(put, 201, `blob ${blob.digest}`);
}

async function pushManifest(session: RegistrySession, repository: string, reference: string, manifest: Content) {
  const put = await session.open('PUT', `/v2/${repository}/manifests/${reference}`, {
    headers: { 'content-type': manifest.mediaType },
    body: manifest.bytes,
  });
  await expectStatus(put, 201, `manifest ${reference}`);
}

async function expectStatus(response: Awaited<ReturnType<RegistrySession['open']>>, status: number, what: string) {
  const body = await readAll(response);
  assert.equal(response.statusCode, status, `push of ${what}: ${body}`);
}
