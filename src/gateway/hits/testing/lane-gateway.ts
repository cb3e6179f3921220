import { digestOf } from '../../../core/digest.ts';
import { TestGateway } from '../../testing/test-gateway.ts';

export const manifest: Buffer = Buffer.from(JSON.stringify({ schemaVersion: 2, note: 'x'.repeat(1_500) }));
export const digest: string = digestOf(manifest);
export const byDigest: string = `/v2/a/manifests/${digest}`;

/** A gateway that remembers, with one manifest in the repository `a`, under the tag `v1`, which may be kept for good. */
export async function start(options: Parameters<typeof TestGateway.start>[0] = {}): Promise<TestGateway> {
  const gateway = await TestGateway.start({ remembers: true, ...options });
  gateway.depot.addManifest('a', 'v1', manifest, 'application/vnd.oci.image.manifest.v1+json');
  gateway.depot.keepUntilMs = Number.POSITIVE_INFINITY;
  return gateway;
}

/** How many requests node:http has not seen. */
export function laneAnswers({ server }: TestGateway): number {
  return server.laneAnswers;
}
