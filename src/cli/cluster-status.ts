import { request } from 'node:http';
import { addressText } from '../config/address.ts';
import { loadConfig } from '../config/load.ts';
import { problemsText } from '../config/problems.ts';
import { formatDuration, formatSize } from '../core/units.ts';
import type { ClusterSnapshot } from '../pull/cluster-snapshot.ts';
import { type ClusterStatusOptions, exitCodes } from './options.ts';

const timeoutMs = 5000;

/** Asks a running instance's admin API who shares its pulls, and prints it. Exit code 1: it cannot be asked, or is alone. */
export async function clusterStatus(options: ClusterStatusOptions): Promise<number> {
  const admin = await adminAddress(options);
  if (admin === undefined) return exitCodes.usage;
  let snapshot: ClusterSnapshot | null;
  try {
    snapshot = parsed(await get(`http://${admin}/api/v1/cluster`));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    process.stderr.write(
      `onepull: no answer from the admin API at ${admin}: ${why}\n    hint: is it running? --admin says where\n`,
    );
    return exitCodes.failed;
  }
  if (options.json) process.stdout.write(`${JSON.stringify(snapshot)}\n`);
  else
    process.stdout.write(
      snapshot === null ? 'This node is alone: no cluster.engine is configured.\n' : statusText(snapshot),
    );
  return snapshot === null ? exitCodes.failed : exitCodes.ok;
}

async function adminAddress({ admin, config }: ClusterStatusOptions): Promise<string | undefined> {
  if (admin !== undefined) return admin;
  const loaded = await loadConfig({ file: config, environment: process.env });
  if (loaded.kind === 'config') return addressText(loaded.config.admin);
  process.stderr.write(problemsText(loaded.problems, config));
  return undefined;
}

/** For people. */
export function statusText({ node, engine, members, children, shares }: ClusterSnapshot): string {
  const since = engine.sinceMs === undefined ? '' : ` since ${new Date(engine.sinceMs).toISOString()}`;
  const state = engine.isUp ? `up${since}` : `down${since}: ${engine.error ?? ''}`;
  const rows = members.map(({ node: { id, zone, address, version }, load, silentMs }) => [
    `${id}${id === node ? ' (this one)' : ''}`,
    zone ?? '-',
    address,
    version,
    String(load.fills.filter(({ leads }) => leads).length),
    String(load.fills.filter(({ parents }) => parents.length > 0).length),
    String(load.children),
    formatDuration(Math.round(silentMs)),
  ]);
  const head = ['NODE', 'ZONE', 'PEERS AT', 'VERSION', 'LEADS', 'FOLLOWS', 'SENDS', 'HEARD'];
  const lines = [`engine   ${state}`, `sends    ${children} bodies to other nodes`, '', ...columns([head, ...rows])];
  const all = members.flatMap(({ node: { id }, load }) => load.fills.map((fill) => ({ id, ...fill })));
  const fills = all.length > 0 ? all : shares.map((fill) => ({ id: node, ...fill }));
  if (fills.length > 0) {
    const digests = [...new Set(fills.map(({ digest }) => digest))];
    for (const digest of digests) {
      lines.push('', digest);
      const places = fills.filter((fill) => fill.digest === digest);
      const most = Math.max(...places.map(({ filledBytes }) => filledBytes));
      lines.push(
        ...columns(
          places.map(({ id, leads, parents, filledBytes, sizeBytes }) => [
            `  ${id}`,
            leads ? 'leads' : parents.length > 0 ? `from ${parents.join(', ')}` : 'alone',
            `${formatSize(filledBytes)}${sizeBytes === undefined ? '' : ` of ${formatSize(sizeBytes)}`}`,
            most > filledBytes ? `${formatSize(most - filledBytes)} behind` : '',
          ]),
        ),
      );
    }
  }
  return `${lines.join('\n')}\n`;
}

function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

function get(url: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const asked = request(url, { timeout: timeoutMs }, (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.once('error', reject);
    response.once('end', () => {
      if (response.statusCode === 200) resolve(Buffer.concat(chunks).toString());
      else reject(new Error(`it answered ${response.statusCode}`));
    });
  });
  asked.once('timeout', () => asked.destroy(new Error(`nothing within ${timeoutMs / 1000} s`)));
  asked.once('error', reject);
  asked.end();
  return promise;
}

function parsed(text: string): ClusterSnapshot | null {
  const { cluster } = JSON.parse(text) as { cluster: ClusterSnapshot | null };
  return cluster;
}
