import { batch, entering, output } from './commands.ts';
import { LabHost } from './lab-host.ts';
import { isRelayed, type LinkShape, limitLine } from './link-shape.ts';
import { isInOwnNetwork } from './own-network.ts';
import type { RelayedLink } from './packet-relay.ts';
import { tunnelPort } from './packet-relay.ts';
import { RelayProcess } from './relay-process.ts';

export interface NetworkLabOptions {
  /** Decides which packets are lost where some are. */
  readonly seed?: number;
}

export interface HostPlan extends LinkShape {
  /** A short word of its own. */
  readonly name: string;
}

/** Hosts that do not reach each other, until it is healed. */
export interface Cut extends AsyncDisposable {
  heal(): Promise<void>;
}

const router = 'router';
const relay = 'relay';
/** The name of this process's own place in the lab. */
const self = 'self';
const mostHosts = 1000;

/**
 * Hosts with lines of their own, and one router between them.
 *
 *     host 10.77.0.1 -- eth0 --- line --- p1 |        |
 *     host 10.77.0.2 -- eth0 --- line --- p2 | router | p9 --- line --- eth0 -- 10.77.0.9 this process (`attach`)
 *     host 10.77.0.3 -- eth0 - [ relay ] - p3 |        |
 *       each of them -- control (10.78.0.x) --------------------------------------- this process
 *
 * What a host sends is limited at its eth0, what it receives at the router's port: one line each, whoever it talks to. A line
 * with delay or loss goes through a relay. Cuts are made in the router: packets vanish, nobody is told. The control way, by
 * which this process asks hosts and reads their answers, has no limits and is never cut; hosts have it to this process only.
 *
 * Invariants: this process runs in a network, with mounts and processes, of its own (`enterOwnNetwork`), so that nothing of it
 * is left when it ends in whatever way. One lab at a time. Disposing ends what runs in hosts first.
 */
export class NetworkLab implements AsyncDisposable {
  readonly #hosts = new Map<string, LabHost>();
  readonly #shapes = new Map<LabHost, LinkShape>();
  /** How many cuts keep packets from going from one address to the other. */
  readonly #cuts = new Map<string, number>();
  readonly #seed: number;
  #relay: RelayProcess | undefined;
  #last = 0;
  #isOver = false;

  private constructor(seed: number) {
    this.#seed = seed;
  }

  static async open({ seed = 1 }: NetworkLabOptions = {}): Promise<NetworkLab> {
    if (!isInOwnNetwork()) throw new Error('a lab needs a network of its own: await enterOwnNetwork() first');
    await batch('ip', undefined, [`netns add ${router}`]);
    const forward = 'echo 1 >/proc/sys/net/ipv4/ip_forward && echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter';
    const [command = '', ...args] = [...entering(router), 'sh', '-c', forward];
    await output(command, args);
    return new NetworkLab(seed);
  }

  /** A host. Delay and loss may be changed later where they are told here, be it as 0. */
  async host(name: string, shape: LinkShape = {}): Promise<LabHost> {
    const [host] = await this.hosts([{ ...shape, name }]);
    if (host === undefined) throw new Error('no host was made');
    return host;
  }

  /** Some hosts at once, which is quicker. */
  async hosts(plans: readonly HostPlan[]): Promise<readonly LabHost[]> {
    const hosts = plans.map(({ name }) => this.#named(name, entering(name)));
    const farCount = plans.filter(isRelayed).length;
    if (farCount > 0) await this.#openRelay();
    const made = hosts.map((host, index) => ({ host, shape: plans[index] ?? {} }));
    await batch(
      'ip',
      undefined,
      made.flatMap(({ host, shape }) => outerLines(host, host.name, isRelayed(shape))),
    );
    await batch(
      'ip',
      router,
      made.flatMap(({ host, shape }) => routerLines(host, isRelayed(shape))),
    );
    if (farCount > 0) {
      await batch(
        'ip',
        relay,
        made.filter(({ shape }) => isRelayed(shape)).flatMap(({ host }) => relayLines(host)),
      );
    }
    for (const { host, shape } of made) {
      await batch('ip', host.name, [...innerLines(host, isRelayed(shape)), ...controlLines(host)]);
    }
    for (const { host, shape } of made) await this.#reshape(host, shape);
    return hosts;
  }

  /** Gives this process a place in the lab: what listens at its address here is reached through its line. Once. */
  async attach(shape: LinkShape = {}): Promise<LabHost> {
    const host = this.#named(self, []);
    const isFar = isRelayed(shape);
    if (isFar) await this.#openRelay();
    await batch('ip', undefined, outerLines(host, undefined, isFar));
    await batch('ip', router, routerLines(host, isFar));
    if (isFar) await batch('ip', relay, relayLines(host));
    await batch('ip', undefined, innerLines(host, isFar));
    await this.#reshape(host, shape);
    return host;
  }

  /** Packets from each of the first to each of the others vanish, and back, unless told `oneWay`. */
  async cut(some: readonly LabHost[], others: readonly LabHost[], { oneWay = false } = {}): Promise<Cut> {
    const there = some.flatMap((from) => others.map((to) => `from ${from.address} to ${to.address}`));
    const back = others.flatMap((from) => some.map((to) => `from ${from.address} to ${to.address}`));
    const pairs = oneWay ? there : [...there, ...back];
    const first = pairs.filter((pair) => !this.#cuts.has(pair));
    for (const pair of pairs) this.#cuts.set(pair, (this.#cuts.get(pair) ?? 0) + 1);
    await batch(
      'ip',
      router,
      first.map((pair) => `rule add ${pair} blackhole`),
    );
    let isHealed = false;
    const heal = async () => {
      if (isHealed) return;
      isHealed = true;
      for (const pair of pairs) this.#cuts.set(pair, (this.#cuts.get(pair) ?? 0) - 1);
      const last = pairs.filter((pair) => this.#cuts.get(pair) === 0);
      for (const pair of last) this.#cuts.delete(pair);
      await batch(
        'ip',
        router,
        last.map((pair) => `rule del ${pair} blackhole`),
      );
    };
    return { heal, [Symbol.asyncDispose]: heal };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    const names = [...this.#hosts.keys()].filter((name) => name !== self);
    for (const name of names) await endAll(name);
    await this.#relay?.[Symbol.asyncDispose]();
    // A network goes some time after its name: what is in this one has to be gone before the next lab.
    const devices = [...this.#hosts.values()].flatMap((host) => this.#devicesHere(host));
    await batch(
      'ip',
      undefined,
      devices.map((device) => `link del ${device}`),
    );
    const networks = [...names, router, ...(this.#relay === undefined ? [] : [relay])];
    await batch(
      'ip',
      undefined,
      networks.map((name) => `netns del ${name}`),
    );
  }

  #devicesHere(host: LabHost): string[] {
    if (host.name !== self) return [`c${host.number}`];
    return isRelayed(this.#shapes.get(host) ?? {}) ? ['eth0', 'under'] : ['eth0'];
  }

  #named(name: string, wrapper: readonly string[]): LabHost {
    if (this.#hosts.has(name) || [router, relay].includes(name)) throw new Error(`there is a host ${name} already`);
    const number = ++this.#last;
    if (number > mostHosts) throw new Error(`a lab has ${mostHosts} hosts at most`);
    const address = numbered(77, number);
    const controlAddress = name === self ? address : numbered(78, number);
    const change = (host: LabHost, shape: LinkShape) => this.#reshape(host, shape);
    const host = new LabHost({ change }, { name, number, address, controlAddress, wrapper });
    this.#hosts.set(name, host);
    return host;
  }

  async #openRelay(): Promise<void> {
    if (this.#relay !== undefined) return;
    await batch('ip', undefined, [
      `netns add ${relay}`,
      `link add under netns ${router} mtu 1600 type veth peer name router netns ${relay} mtu 1600`,
    ]);
    await batch('ip', router, [`addr add ${underRouter} peer ${underRelay} dev under`, 'link set under up']);
    await batch('ip', relay, [
      'link set lo up',
      `addr add ${underRelay} peer ${underRouter} dev router`,
      'link set router up',
    ]);
    this.#relay = await RelayProcess.start(relay, underRouter, this.#seed);
  }

  async #reshape(host: LabHost, shape: LinkShape): Promise<void> {
    const before = this.#shapes.get(host);
    if (before !== undefined && isRelayed(shape) && !isRelayed(before)) {
      throw new Error(`the line of ${host.name} was made without delay and loss`);
    }
    const { upBitsPerSecond: up, downBitsPerSecond: down, delayMs = 0, loss = 0 } = shape;
    const inner = host.name === self ? undefined : host.name;
    await batch('tc', inner, limits('eth0', before?.upBitsPerSecond, up));
    await batch('tc', router, limits(`p${host.number}`, before?.downBitsPerSecond, down));
    if (this.#relay !== undefined && isRelayed(before ?? shape)) {
      const link: RelayedLink = { id: host.number, hostAddress: underOf(host), way: { delayMs, loss } };
      await this.#relay.order([link]);
    }
    this.#shapes.set(host, isRelayed(before ?? shape) ? { ...shape, delayMs, loss } : shape);
  }
}

const [routerAddress, controlOfSelf] = ['10.77.255.254', '10.78.255.254'];
const [underRouter, underRelay] = ['10.79.255.253', '10.79.255.254'];

function numbered(network: number, number: number): string {
  return `10.${network}.${number >> 8}.${number & 0xff}`;
}

function underOf({ number }: LabHost): string {
  return numbered(79, number);
}

/** A line between two networks: a pair of devices, or where it goes through the relay the ways to it. */
function outerLines({ number }: LabHost, network: string | undefined, isFar: boolean): string[] {
  const place = network === undefined ? '' : `netns ${network}`;
  return [
    ...(network === undefined ? [] : [`netns add ${network}`]),
    ...(isFar
      ? [`link add under ${place} mtu 1600 type veth peer name u${number} netns ${relay} mtu 1600`]
      : [`link add eth0 ${place} type veth peer name p${number} netns ${router}`]),
    ...(network === undefined
      ? []
      : [
          `link add control ${place} type veth peer name c${number}`,
          `addr add ${controlOfSelf} peer ${numbered(78, number)} dev c${number}`,
          `link set c${number} up`,
        ]),
  ];
}

function innerLines(host: LabHost, isFar: boolean): string[] {
  const under = [
    `addr add ${underOf(host)} peer ${underRelay} dev under`,
    'link set under up',
    ...tunnelLines('eth0', host.number, underOf(host)),
  ];
  const everywhere = host.name === self ? '10.77.0.0/16' : 'default';
  return [
    ...(isFar ? under : []),
    'link set lo up',
    `addr add ${host.address} peer ${routerAddress} dev eth0`,
    'link set eth0 up',
    `route add ${everywhere} via ${routerAddress} dev eth0`,
  ];
}

function controlLines({ controlAddress }: LabHost): string[] {
  return [`addr add ${controlAddress} peer ${controlOfSelf} dev control`, 'link set control up'];
}

function routerLines({ number, address }: LabHost, isFar: boolean): string[] {
  return [
    ...(isFar ? tunnelLines(`p${number}`, number, underRouter) : []),
    `addr add ${routerAddress} peer ${address} dev p${number}`,
    `link set p${number} up`,
  ];
}

function relayLines(host: LabHost): string[] {
  return [`addr add ${underRelay} peer ${underOf(host)} dev u${host.number}`, `link set u${host.number} up`];
}

/** Each packet goes by itself: what the kernel would cut into packets later, the relay could not pass on. */
function tunnelLines(device: string, id: number, local: string): string[] {
  return [
    `link add ${device} mtu 1500 type vxlan id ${id} local ${local} remote ${underRelay} dstport ${tunnelPort} nolearning`,
    `link set ${device} gso_max_segs 1`,
  ];
}

function limits(device: string, before: number | undefined, after: number | undefined): string[] {
  if (before === after) return [];
  return [limitLine(device, after) ?? `qdisc del dev ${device} root`];
}

/** kill -9 for whatever runs in the network still. */
async function endAll(network: string): Promise<void> {
  const pids = await output('ip', ['netns', 'pids', network]);
  for (const pid of pids.split('\n').map(Number)) {
    try {
      if (pid > 1) process.kill(pid, 'SIGKILL');
    } catch {
      // It ended meanwhile.
    }
  }
}
