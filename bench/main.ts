import { Command } from 'commander';
import { addColdBurst } from './cold-burst/command.ts';
import { addIngest } from './ingest/command.ts';
import { addPoorUpstreams } from './poor-upstreams/command.ts';
import { addThroughput } from './throughput/command.ts';

// Every program that a benchmark starts ends with this process, and some start a dozen.
process.setMaxListeners(100);

const args = process.argv.slice(2);
const commandLine = ['npm run bench', ...(args.length === 0 ? [] : ['--', ...args])].join(' ');

const bench = new Command('bench').description('Measures onepull beside other caches; writes to bench/results.');
addColdBurst(bench, commandLine);
addPoorUpstreams(bench, commandLine);
addThroughput(bench, commandLine);
addIngest(bench, commandLine);
await bench.parseAsync();
