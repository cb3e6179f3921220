import type { IncomingMessage } from 'node:http';
import type { Descriptor } from '../../core/descriptor.ts';
import { type Digest, DigestVerifier, digestOf, parseDigest } from '../../core/digest.ts';
import { manifestReferences } from '../../core/manifest-references.ts';
import { NodeSession, type NodeSessionOptions, readText } from './node-session.ts';

export interface NodePullOptions extends NodeSessionOptions {
  readonly tag: string;
  /** Bytes of a blob that arrived. */
  readonly onBytes: (digest: Digest, bytes: number) => void;
}

/**
 * Pulls an image as a container host does: HEAD and GET the manifest by its tag, then config and layers, some at once.
 * Keeps nothing. Resolves once every digest is verified; throws with what was wrong with which part.
 */
export async function pullAsNode(options: NodePullOptions): Promise<void> {
  using session = new NodeSession(options);
  const blobs = await manifestBlobs(session, options.tag);
  const left = blobs.values();
  const worker = async () => {
    for (const blob of left) {
      await named(`blob ${blob.digest}`, async () => {
        const response = await session.open('GET', 'blobs', blob.digest);
        await readVerified(response, blob, (bytes) => options.onBytes(blob.digest, bytes));
      });
    }
  };
  await Promise.all(Array.from({ length: options.connections }, worker));
}

function manifestBlobs(session: NodeSession, tag: string): Promise<readonly Descriptor[]> {
  return named(`manifest ${tag}`, async () => {
    const head = await session.open('HEAD', 'manifests', tag);
    head.resume();
    const digest = parseDigest(String(head.headers['docker-content-digest']));
    if (digest === undefined) throw new Error('came without its digest');
    const response = await session.open('GET', 'manifests', digest);
    const text = await readText(response);
    const bytes = Buffer.from(text);
    if (digestOf(bytes) !== digest) throw new Error('has not the digest that it was announced with');
    return manifestReferences(bytes, response.headers['content-type'] ?? '').blobs;
  });
}

async function readVerified(
  response: IncomingMessage,
  { digest, sizeBytes }: Descriptor,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const verifier = new DigestVerifier(digest);
  let arrivedBytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    verifier.update(chunk);
    arrivedBytes += chunk.length;
    onBytes(chunk.length);
  }
  if (arrivedBytes !== sizeBytes) throw new Error(`has ${arrivedBytes} bytes, not ${sizeBytes}`);
  if (verifier.finish() !== digest) throw new Error('has not the bytes that its digest names');
}

async function named<T>(what: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw new Error(`${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
