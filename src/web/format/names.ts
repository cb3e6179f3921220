/** `8a1e25ce7c4f` of `sha256:8a1e25ce7c4f...`. */
export function shortDigest(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1).slice(0, 12);
}

/** `edge-2` of `edge-2#5f1c02aa`: which run of the node it is says nothing to people. */
export function nodeName(id: string): string {
  return id.replace(/#[0-9a-f]+$/, '');
}
