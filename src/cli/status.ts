import * as answers from './admin-answers.ts';
import { AdminClient } from './admin-client.ts';
import { type AdminOptions, exitCodes } from './options.ts';
import { printJson, printLines } from './printing.ts';
import { isUnderWay } from './progress-text.ts';
import { overviewLines } from './status-text.ts';
import { terminalOn } from './terminal.ts';

/** Lines of a screen that all but the pulls take. */
const otherRows = 16;

/** One screen about a running instance. Exit code 1: it does not answer, or is not ready. */
export async function status(options: AdminOptions): Promise<number> {
  const client = await AdminClient.for(options, process.env);
  // First this one alone: what is no admin API is asked no more.
  const status = await client.get('/api/v1/status', answers.status);
  const [{ pulls }, { flights }, { upstreams }, { cluster }] = await Promise.all([
    client.get('/api/v1/pulls', answers.pulls),
    client.get('/api/v1/flights', answers.flights),
    client.get('/api/v1/upstreams', answers.upstreams),
    client.get('/api/v1/cluster', answers.clusterAnswer),
  ]);
  if (options.json) {
    const shown = { status, pulls: pulls.filter(isUnderWay), upstreams, cluster };
    printJson(shown);
  } else {
    const terminal = terminalOn(process.stdout, process.env);
    const columns = terminal.isInteractive ? terminal.columns : 120;
    const rows = terminal.isInteractive ? (process.stdout.rows ?? 24) : Number.POSITIVE_INFINITY;
    const most = Math.max(2, Math.floor((rows - otherRows) / 2));
    const overview = { status, pulls, flights, upstreams, cluster };
    printLines(terminal, overviewLines(overview, { nowMs: Date.now(), columns, pulls: most, style: terminal }));
  }
  return status.state === 'ready' ? exitCodes.ok : exitCodes.failed;
}
