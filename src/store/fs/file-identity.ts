import type { BigIntStats } from 'node:fs';

/** Which file it is and since when its bytes have not been written to, as far as the system tells. Compares with `===`. */
export type FileIdentity = string & { readonly __brand: 'FileIdentity' };

/** Of the file's device, inode, size and times: replacing it, writing to it or setting its times back changes it (ctime). */
export function identityOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): FileIdentity {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}` as FileIdentity;
}

/** Whether both are of one file, whatever was written to it in between. */
export function isSameFile(one: FileIdentity, other: FileIdentity): boolean {
  return inodeOf(one) === inodeOf(other);
}

function inodeOf(identity: FileIdentity): string {
  return identity.split(':', 2).join(':');
}
