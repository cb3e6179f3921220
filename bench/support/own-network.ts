import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';

/** Tells a program that it runs in a network of its own, and what the largest packet there is. */
const variable = 'BENCH_NETWORK_MTU';
const ethernetMtu = 1500;

/**
 * A loopback device of one's own with packets as large as on Ethernet. Those of the usual one are 64 KiB: the system sizes
 * what it holds for a connection by them, and takes megabytes for clients who take nothing, fifty times what it would take
 * for them on a network.
 */
const prefix = [
  '--user',
  '--map-root-user',
  '--net',
  'sh',
  '-c',
  `ip link set lo mtu ${ethernetMtu} up && exec "$@"`,
  'sh',
];

/** The largest packet of the network that this process was put into; undefined: it is in that of the machine. */
export function ownNetworkMtu(): number | undefined {
  const mtu = Number(process.env[variable]);
  return mtu > 0 ? mtu : undefined;
}

/** Why there can be no network of one's own here; undefined: there can. */
export async function ownNetworkAbsent(): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  execFile('unshare', [...prefix, 'true'], (error, _stdout, stderr) => {
    resolve(error === null ? undefined : (stderr || error.message).trim().split('\n')[0]);
  });
  return promise;
}

/** Runs this program once more, in a network of its own, to its end; returns its exit code. It ends with this process. */
export async function runInOwnNetwork(): Promise<number> {
  const env = { ...process.env, [variable]: String(ethernetMtu) };
  const args = [...prefix, process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const child = spawn('unshare', args, { stdio: 'inherit', env });
  const endWithUs = () => child.kill('SIGTERM');
  // Before the folders that it writes to go.
  process.prependOnceListener('exit', endWithUs);
  const [code] = await once(child, 'exit');
  process.off('exit', endWithUs);
  return typeof code === 'number' ? code : 1;
}
