import { Command } from 'commander';
import { addAdmin } from './admin/command.ts';
import { addAgainst, asAgainst } from './against/command.ts';
import { addCluster } from './cluster/command.ts';
import { addColdBurst } from './cold-burst/command.ts';
import { addGrowth } from './growth/command.ts';
import { addIngest } from './ingest/command.ts';
import { addMemory } from './memory/command.ts';
import { addPoorUpstreams } from './poor-upstreams/command.ts';
import { endOrderly } from './support/at-exit.ts';
import { addProfileTable } from './support/profile/command.ts';
import { ownTemporaryFolder } from './support/temporary-folder.ts';
import { addThroughput } from './throughput/command.ts';
import { addWaysToWrite } from './ways-to-write/command.ts';
import { addWhole } from './whole/command.ts';

/** What `npm run bench` runs, in this order. What is not here runs by its name alone. */
const whole = ['cold-burst', 'throughput', 'ingest', 'memory', 'growth', 'cluster'] as const;

// Every program that a benchmark starts ends with this process, and some start dozens.
process.setMaxListeners(200);
endOrderly();
ownTemporaryFolder();

const args = process.argv.slice(2);
const commandLine = ['npm run bench', ...(args.length === 0 ? [] : ['--', ...args])].join(' ');

const bench = new Command('bench').description('Measures onepull beside other caches; writes to bench/results.');
addWhole(bench, whole);
addColdBurst(bench, commandLine);
addThroughput(bench, commandLine);
addIngest(bench, commandLine);
addPoorUpstreams(bench, commandLine);
addGrowth(bench, commandLine);
addMemory(bench, commandLine);
addCluster(bench, commandLine);
addWaysToWrite(bench, commandLine);
addAdmin(bench, commandLine);
addAgainst(bench, commandLine);
addProfileTable(bench);
await bench.parseAsync(asAgainst(args), { from: 'user' });
