import { createHash } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serveCalls } from '../support/remote-calls.ts';

export interface DripRequest {
  readonly layers: number;
  readonly layerBytesPerSecond: number;
}

/** Longer than any measurement takes. */
const layerSeconds = 3600;
const mediaType = 'application/vnd.oci.image.manifest.v1+json';
const configType = 'application/vnd.oci.image.config.v1+json';
const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip';

/**
 * A registry whose layers never end: it has any image that it is asked for, and each body that it sends brings some bytes every
 * second. Digests are of nothing, for nobody ever has the whole.
 */
const bodies = new Set<ServerResponse>();
let wanted: DripRequest = { layers: 1, layerBytesPerSecond: 1024 };

const server = createServer((request, response) => {
  const [, repository = '', kind, reference = ''] =
    /^\/v2\/(.+)\/(manifests|blobs)\/(.+)$/.exec(request.url ?? '') ?? [];
  if (kind === undefined) {
    response.end('{}');
    return;
  }
  const sizeBytes = layerSeconds * wanted.layerBytesPerSecond;
  if (kind === 'manifests') {
    const text = manifest(repository, sizeBytes);
    const digest = `sha256:${createHash('sha256').update(text).digest('hex')}`;
    const size = Buffer.byteLength(text);
    response.writeHead(200, { 'content-type': mediaType, 'content-length': size, 'docker-content-digest': digest });
    response.end(request.method === 'HEAD' ? undefined : text);
    return;
  }
  response.writeHead(200, { 'content-length': sizeBytes, 'docker-content-digest': reference });
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  response.write(Buffer.alloc(wanted.layerBytesPerSecond, 'drip'));
  bodies.add(response);
  response.once('close', () => bodies.delete(response));
});

function manifest(repository: string, size: number): string {
  const layers = Array.from({ length: wanted.layers }, (_, n) => {
    return { mediaType: layerType, digest: digestOf(`${repository} ${n}`), size };
  });
  const config = { mediaType: configType, digest: digestOf(`${repository} config`), size: 1000 };
  return JSON.stringify({ schemaVersion: 2, mediaType, config, layers });
}

function digestOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

const methods = {
  async begin(request: DripRequest): Promise<string> {
    wanted = request;
    const piece = Buffer.alloc(request.layerBytesPerSecond, 'drip');
    setInterval(() => {
      for (const body of bodies) if (!body.writableNeedDrain) body.write(piece);
    }, 1000);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  },

  /** Bodies that are on their way. */
  bodies: (): number => bodies.size,
};

export type DripMethods = typeof methods;

serveCalls(methods);
