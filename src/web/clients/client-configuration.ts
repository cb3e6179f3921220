/** What one client needs to pull through this onepull: the same as `onepull clients` prints, which a test holds it to. */
export interface ClientConfiguration {
  readonly name: string;
  readonly files: readonly { readonly path: string; readonly text: string; readonly note?: string }[];
  readonly note?: string;
}

export interface Target {
  /** `host:port` as clients reach it. */
  readonly address: string;
  readonly isTls: boolean;
  /** The registries that onepull serves, as clients name them. */
  readonly registries: readonly string[];
}

const hub = 'docker.io';

export function clientConfigurations(target: Target): ClientConfiguration[] {
  const origin = `${target.isTls ? 'https' : 'http'}://${target.address}`;
  return [containerd(target, origin), docker(target, origin), containers(target), k3s(target, origin)];
}

function containerd({ registries }: Target, origin: string): ClientConfiguration {
  const hosts = registries.map((registry) => {
    const path = `/etc/containerd/certs.d/${registry}/hosts.toml`;
    const server = registry === hub ? 'registry-1.docker.io' : registry;
    return {
      path,
      text: `# ${path}\nserver = "https://${server}"\n\n[host."${origin}"]\n  capabilities = ["pull", "resolve"]\n`,
    };
  });
  const main = {
    path: '/etc/containerd/config.toml',
    text: '[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/etc/containerd/certs.d"\n',
    note: 'In containerd 2 the plugin is "io.containerd.cri.v1.images". Restart containerd after this one; the others are read at each pull.',
  };
  return { name: 'containerd, Kubernetes', files: [main, ...hosts] };
}

function docker({ address, isTls, registries }: Target, origin: string): ClientConfiguration {
  const name = 'Docker';
  if (!registries.includes(hub)) {
    return { name, files: [], note: 'Docker mirrors Docker Hub only, and this onepull does not serve it.' };
  }
  const settings = { 'registry-mirrors': [origin], ...(isTls ? {} : { 'insecure-registries': [address] }) };
  return {
    name,
    files: [{ path: '/etc/docker/daemon.json', text: `${JSON.stringify(settings, undefined, 2)}\n` }],
    note: 'Docker mirrors Docker Hub only, which has to be the default upstream here. Then: systemctl reload docker.',
  };
}

function containers({ address, isTls, registries }: Target): ClientConfiguration {
  const path = '/etc/containers/registries.conf.d/50-onepull.conf';
  // A path cannot hold a port.
  const mirrored = registries.filter((registry) => !registry.includes(':'));
  const one = (registry: string) =>
    [
      '[[registry]]',
      `prefix = "${registry}"`,
      `location = "${registry}"`,
      '[[registry.mirror]]',
      `location = "${address}/${registry}"`,
      ...(isTls ? [] : ['insecure = true']),
      '',
    ].join('\n');
  return { name: 'Podman, CRI-O, skopeo', files: [{ path, text: `# ${path}\n${mirrored.map(one).join('\n')}` }] };
}

function k3s({ registries }: Target, origin: string): ClientConfiguration {
  const path = '/etc/rancher/k3s/registries.yaml';
  const mirrors = registries.map((registry) => `  ${JSON.stringify(registry)}: { endpoint: ["${origin}"] }`);
  const text = [`# ${path}`, 'mirrors:', ...mirrors, ''].join('\n');
  return { name: 'k3s', files: [{ path, text, note: 'On each node; then restart k3s (servers) or k3s-agent.' }] };
}

/**
 * Where clients reach it, as far as this page can tell: the configured address, or where that is any address of the machine,
 * the name by which the page itself was reached. Loopback says nothing: `host` is then for the reader to fill in.
 */
export function addressFor(listen: string, pageHost: string): { readonly address: string; readonly isGuess: boolean } {
  const colon = listen.lastIndexOf(':');
  const [host, port] = [listen.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), listen.slice(colon + 1)];
  const isAny = host === '' || host === '0.0.0.0' || host === '::';
  if (!isAny && !isLoopback(host)) return { address: listen, isGuess: false };
  if (isAny && !isLoopback(pageHost)) return { address: `${pageHost}:${port}`, isGuess: true };
  return { address: isAny ? `cache.example:${port}` : listen, isGuess: isAny };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127\./.test(host);
}
