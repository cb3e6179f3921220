import { resolve } from 'node:path';
import { loadConfig, redactedConfig } from '../config/load.ts';
import type { Config, Credentials } from '../config/schema.ts';
import { addressText } from '../core/address.ts';
import { formatSize, writtenDuration } from '../core/units.ts';
import { clusterSummary } from './cluster-summary.ts';
import { configFailure } from './command-failure.ts';
import { type CheckOptions, exitCodes } from './options.ts';
import { printJson } from './printing.ts';

/**
 * Says everything that is wrong with a configuration, or what would run with it. Reads the configuration and the files
 * that it names, nothing else: whether it can run here and reach its upstreams only running shows.
 */
export async function check(options: CheckOptions): Promise<number> {
  const loaded = await loadConfig({ file: options.config, environment: process.env });
  if (options.json) {
    const result =
      loaded.kind === 'problems'
        ? { ok: false, problems: loaded.problems }
        : { ok: true, notices: loaded.notices, config: redactedConfig(loaded.config) };
    printJson(result);
    return result.ok ? exitCodes.ok : exitCodes.usage;
  }
  if (loaded.kind === 'problems') throw configFailure(loaded.problems, options.config);
  for (const notice of loaded.notices) process.stderr.write(`note: ${notice}\n`);
  process.stdout.write(`ok\n${summary(loaded.config)}`);
  return exitCodes.ok;
}

function summary({
  listen,
  admin,
  adminToken,
  adminTokenFile,
  storage,
  upstreams,
  server,
  cluster,
  tracing,
}: Config): string {
  const { certFile, keyFile } = server.tls;
  const secured = certFile === undefined ? 'HTTP' : `HTTPS with ${certFile} and ${keyFile ?? ''}`;
  const { endpoint, sampleOneIn } = tracing;
  const lines = [
    `  listen     ${addressText(listen)}, ${secured}`,
    `  admin      ${addressText(admin)}, HTTP, ${changing(adminToken, adminTokenFile)}`,
    `  storage    ${resolve(storage.path)}, at most ${formatSize(storage.maxSizeBytes)}`,
    '  upstreams',
    ...upstreams.map((upstream) => {
      const facts = [
        upstream.endpoints.join(' '),
        ...(upstream.isDefault ? ['default'] : []),
        signIn(upstream.credentials),
        `tags for ${writtenDuration(upstream.tagTtlMs)}`,
        ...trust(upstream.tls),
      ];
      return `    ${upstream.name}: ${facts.join(', ')}`;
    }),
    ...clusterSummary(cluster),
    `  tracing    ${endpoint === undefined ? 'none' : `to ${endpoint}, one request in ${sampleOneIn}`}`,
  ];
  return `${lines.join('\n')}\n`;
}

function changing(token: string | undefined, tokenFile: string | undefined): string {
  if (tokenFile !== undefined) return `changes need the token in ${tokenFile}`;
  return token === undefined ? 'changes need no token' : 'changes need a token';
}

function trust({ caFile, certFile }: Config['upstreams'][number]['tls']): string[] {
  return [
    ...(caFile === undefined ? [] : [`trusting ${caFile}`]),
    ...(certFile === undefined ? [] : [`shown ${certFile}`]),
  ];
}

function signIn(credentials: Credentials | undefined): string {
  if (credentials === undefined) return 'anonymous';
  if (credentials.kind === 'dockerConfig') return `credentials of ${credentials.path}`;
  return credentials.kind === 'helper' ? `credentials of ${credentials.name}` : `as ${credentials.username}`;
}
