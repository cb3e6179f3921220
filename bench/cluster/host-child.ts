import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { LeanConnection } from '../support/clients/lean-connection.ts';
import { leanPull, type PullOutcome, type PullTarget } from '../support/clients/lean-pull.ts';
import { monotonicNs } from '../support/monotonic.ts';
import { serveCalls } from '../support/remote-calls.ts';

export interface HostPull extends PullOutcome {
  /** By the machine's monotonic clock, which is that of all hosts here. */
  readonly endedNs: number;
}

/** How fast a body came, without its beginning, which says more of the link's buffers than of its rate. */
export interface Received {
  readonly bytes: number;
  readonly fromNs: number;
  readonly toNs: number;
}

const buffered = 1024 * 1024;
const piece = Buffer.alloc(256 * 1024);
let server: Server | undefined;

/** The client of one host: pulls, and tells what only can be asked from within. */
const methods = {
  async pull({ deadlineMs, ...target }: PullTarget & { deadlineMs: number }): Promise<HostPull> {
    const pulled = await leanPull(target, { verify: true, deadlineMs });
    return { ...pulled, endedNs: monotonicNs() };
  },

  cpuMs(): number {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },

  /** What went out over the host's links since it was made: frames, with all their headers. */
  async sentBytes(): Promise<number> {
    const lines = (await readFile('/proc/self/net/dev', 'utf8')).split('\n').slice(2);
    const links = lines.map((line) => line.trim().split(/[:\s]+/)).filter(([name]) => name !== '' && name !== 'lo');
    return links.reduce((sum, fields) => sum + Number(fields[9] ?? 0), 0);
  },

  /** Serves a body of so many bytes to whoever asks; returns where. */
  async serve({ address, bytes }: { address: string; bytes: number }): Promise<string> {
    server?.close();
    server = createServer((_request, response) => {
      response.writeHead(200, { 'content-length': bytes });
      let left = bytes;
      const write = () => {
        while (left > 0) {
          const next = piece.subarray(0, Math.min(left, piece.length));
          left -= next.length;
          if (!response.write(next) && left > 0) return response.once('drain', write);
        }
        return response.end();
      };
      write();
    });
    const listening = new Promise((resolve) => server?.once('listening', resolve));
    server.listen({ host: address, port: 0 });
    await listening;
    return `http://${address}:${(server.address() as AddressInfo).port}`;
  },

  async receive({ origin, path }: { origin: string; path: string }): Promise<Received> {
    using connection = new LeanConnection(origin);
    let [bytes, fromNs] = [0, 0];
    const { status, bodyBytes } = await connection.request('GET', path, {}, (chunk) => {
      bytes += chunk.length;
      if (fromNs === 0 && bytes >= buffered) fromNs = monotonicNs();
    });
    if (status !== 200) throw new Error(`${origin}${path}: status ${status}`);
    return { bytes: bodyBytes - buffered, fromNs, toNs: monotonicNs() };
  },
};

export type HostMethods = typeof methods;

serveCalls(methods);
