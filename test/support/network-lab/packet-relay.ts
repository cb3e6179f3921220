import { createSocket, type RemoteInfo } from 'node:dgram';
import { Random } from '../../../src/flights/testing/random.ts';
import { fillChecksum } from './frame-checksum.ts';

/** What becomes of packets of one direction. */
export interface Way {
  readonly delayMs: number;
  /** The share that is lost, from 0 to 1. */
  readonly loss: number;
}

export interface RelayedLink {
  /** Of its tunnel. */
  readonly id: number;
  readonly hostAddress: string;
  readonly way: Way;
}

/** From whoever started it: what to do from now on. */
export interface RelayOrders {
  readonly routerAddress: string;
  readonly links: readonly RelayedLink[];
}

export const tunnelPort = 4789;

/**
 * A program of its own that stands between a host and the router, in a network of its own, and delays and loses packets: for
 * kernels without netem. Both ends are VXLAN tunnels to here (RFC 7348), so that a datagram is one frame, whatever it carries.
 * Answers each order once it is in force.
 */
function relay(seed: number): void {
  const random = new Random(seed);
  const links = new Map<number, RelayedLink>();
  let routerAddress = '';
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20, sendBufferSize: 4 << 20 });
  socket.on('message', (datagram: Buffer, { address }: RemoteInfo) => {
    const link = links.get(datagram.readUIntBE(4, 3));
    if (link === undefined || random.chance(link.way.loss)) return;
    fillChecksum(datagram);
    const to = address === routerAddress ? link.hostAddress : routerAddress;
    // Timers of the same length run in order, and so do packets.
    if (link.way.delayMs > 0) setTimeout(() => socket.send(datagram, tunnelPort, to), link.way.delayMs);
    else socket.send(datagram, tunnelPort, to);
  });
  process.on('message', (orders: RelayOrders) => {
    routerAddress = orders.routerAddress;
    for (const link of orders.links) links.set(link.id, link);
    process.send?.('done');
  });
  process.on('disconnect', () => process.exit());
  socket.bind(tunnelPort, () => process.send?.('done'));
}

if (import.meta.main) relay(Number(process.argv[2]));
