import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { needs } from '../need.ts';

/** Tells a program that it runs in a network of its own. */
const variable = 'NETWORK_LAB';

/**
 * Network, mounts and processes of one's own: whatever is made or started within is gone when this program is, even if it is
 * killed. Nobody needs to be root for it where users may have namespaces of their own.
 */
const isRoot = process.getuid?.() === 0;
const within = [
  ...(isRoot ? [] : ['--user', '--map-root-user']),
  ...['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'],
];
/** `ip netns` keeps its names in /run/netns. */
const prepare = 'mount -t tmpfs none /run && mkdir /run/netns && ip link set lo up';
const tryOut = [
  'ip link add one type veth peer name two',
  'tc qdisc add dev one root tbf rate 1mbit burst 10kb latency 1ms',
  'ip link add three type vxlan id 1 remote 127.0.0.1 dstport 4789',
  'ip rule add from 10.0.0.1 to 10.0.0.2 blackhole',
].join(' && ');

/** False, or why there can be no lab here: what to install, or what the machine does not allow. */
export async function cannotHaveLab(): Promise<string | false> {
  if (process.platform !== 'linux') return 'needs root on Linux, to make networks';
  const missing = needs('ip', 'tc', 'unshare', 'nsenter', 'setpriv');
  if (missing !== false) return missing;
  const { promise, resolve } = Promise.withResolvers<string | false>();
  execFile('unshare', [...within, 'sh', '-c', `${prepare} && ${tryOut}`], (error, _stdout, stderr) => {
    const [why = ''] = (stderr || (error?.message ?? '')).trim().split('\n');
    resolve(error === null ? false : `needs root that may make networks and shape them: ${why}`);
  });
  return promise;
}

export function isInOwnNetwork(): boolean {
  return process.env[variable] !== undefined;
}

/**
 * For the first line of a program that uses a `NetworkLab`: runs that program once more in a network of its own, and ends this
 * process with its exit code. Within, it returns at once. Where that cannot be it returns why: for `test(name, { skip })`.
 */
export async function enterOwnNetwork(): Promise<string | false> {
  if (isInOwnNetwork()) return false;
  const why = await cannotHaveLab();
  if (why !== false) return why;
  process.exit(await runInOwnNetwork());
}

/** Runs this program once more, in a network of its own, to its end; returns its exit code. It ends with this process. */
export async function runInOwnNetwork(): Promise<number> {
  const program = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  // A shell stays the first process there: that one has to take leave of orphans.
  const script = `${prepare} && "$@"`;
  const args = ['--pdeathsig', 'KILL', 'unshare', ...within, 'sh', '-c', script, 'sh', ...program];
  const child = spawn('setpriv', args, { stdio: 'inherit', env: { ...process.env, [variable]: '1' } });
  const [code] = await once(child, 'exit');
  return typeof code === 'number' ? code : 1;
}
