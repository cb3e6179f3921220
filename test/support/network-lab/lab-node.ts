import { type Configuration, OnepullProcess, type OnepullProcessOptions } from '../onepull-process.ts';
import type { LabHost } from './lab-host.ts';

/** For what changes something: without one a node lets itself be administered from its own host alone. */
export const adminToken = 'a-token-of-tests-only';

/** Sections besides, and what is added to `cluster`. */
export type LabNodeConfiguration = Configuration & { readonly cluster?: Readonly<Record<string, unknown>> };

/**
 * `onepull serve` in a host. Its clients and its operator come by the control way, as from the same machine; upstream, engine
 * and peers are on the other end of the host's line.
 */
export function startNode(
  host: LabHost,
  { cluster, ...sections }: LabNodeConfiguration,
  options: Omit<OnepullProcessOptions, 'wrapper'> & { readonly wrapper?: readonly string[] } = {},
): Promise<OnepullProcess> {
  const clustered = cluster && {
    cluster: { nodeId: host.name, ...cluster, peer: { listen: `${host.address}:5002`, ...asSection(cluster.peer) } },
  };
  const listen = { listen: `${host.controlAddress}:5000`, admin: `${host.controlAddress}:5001`, adminToken };
  const wrapper = [...host.wrapper, ...(options.wrapper ?? [])];
  return OnepullProcess.start({ ...listen, ...sections, ...clustered }, { ...options, wrapper });
}

function asSection(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
