import type { Server } from 'node:net';

/**
 * So many bytes the kernel takes for a client beyond those that are on their way to it. Left to itself it takes megabytes for
 * each that is slow, which count as ours where memory is limited, and beyond its bound for all (tcp_mem) it slows everybody
 * down. Half of this has to be sent until it asks for more: enough that a quick client's line is not idle meanwhile, and that
 * a slow one wakes us every few seconds at most.
 */
export const mostUnsentBytes: number = 256 * 1024;

/** Of Linux: tcp(7). */
export const linuxTcp = { level: 6, notSentLowat: 25 } as const;

/** What of `node:ffi` is needed here. Node has it from version 26 on, unless it was built or started without it. */
export type Ffi = Pick<typeof import('node:ffi'), 'dlopen'>;

/**
 * Bounds what the kernel takes for connections that `server`, which listens, accepts from now on: they inherit it. Node has
 * no option for this, so the system is called directly. Returns false, and nothing has changed, where that is not possible;
 * the system's own setting, net.ipv4.tcp_notsent_lowat, does the same for all of its connections.
 */
export function boundUnsent(server: Server, ffi: Ffi | undefined = nodeFfi()): boolean {
  const handle: unknown = Reflect.get(server, '_handle');
  const descriptor: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined;
  if (ffi === undefined || process.platform !== 'linux' || typeof descriptor !== 'number' || descriptor < 0)
    return false;
  try {
    using library = ffi.dlopen(null, {
      setsockopt: { arguments: ['i32', 'i32', 'i32', 'pointer', 'u32'], return: 'i32' },
    });
    const value = new Uint32Array([mostUnsentBytes]);
    const { level, notSentLowat } = linuxTcp;
    return library.functions.setsockopt(descriptor, level, notSentLowat, value, value.byteLength) === 0;
  } catch {
    return false;
  }
}

/** Without the line on stderr that says that it is an experiment of node's: nothing depends on it. */
export function nodeFfi(): Ffi | undefined {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return process.getBuiltinModule('node:ffi');
  } catch {
    return undefined;
  } finally {
    process.emitWarning = emitWarning;
  }
}
