/** `8a1e25ce7c4f` of `sha256:8a1e25ce7c4f...`. */
export function shortDigest(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1).slice(0, 12);
}
