import type { BigIntStats } from 'node:fs';
import { stat } from 'node:fs/promises';

/** Which file it is and since when its bytes have not been written to, as far as the system tells. Compares with `===`. */
export type FileIdentity = string & { readonly __brand: 'FileIdentity' };

/** Of the file's device, inode, size and times: replacing it, writing to it or setting its times back changes it (ctime). */
export function identityOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): FileIdentity {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}` as FileIdentity;
}

/** Of the file at `path`, or undefined where there is none that could be looked at. */
export async function identityAt(path: string): Promise<FileIdentity | undefined> {
  const status = await stat(path, { bigint: true }).catch(() => undefined);
  return status && identityOf(status);
}

/** Whether both are of one file, whatever was written to it in between. */
export function isSameFile(one: FileIdentity, other: FileIdentity): boolean {
  return inodeOf(one) === inodeOf(other);
}

function inodeOf(identity: FileIdentity): string {
  return identity.split(':', 2).join(':');
}
