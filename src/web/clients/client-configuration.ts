/** What one client needs to pull through this onepull. The README says the same for `cache.example:5000`. */
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
  return {
    name: 'containerd, Kubernetes',
    files: [
      {
        path: '/etc/containerd/config.toml',
        text: '[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/etc/containerd/certs.d"\n',
        note: 'In containerd 2 the plugin is "io.containerd.cri.v1.images". Restart containerd after this one; the others are read at each pull.',
      },
      ...registries.map((registry) => ({
        path: `/etc/containerd/certs.d/${registry}/hosts.toml`,
        text: `server = "https://${registry === hub ? 'registry-1.docker.io' : registry}"\n\n[host."${origin}"]\n  capabilities = ["pull", "resolve"]\n`,
      })),
    ],
  };
}

function docker({ address, isTls, registries }: Target, origin: string): ClientConfiguration {
  const settings = { 'registry-mirrors': [origin], ...(isTls ? {} : { 'insecure-registries': [address] }) };
  return {
    name: 'Docker',
    files: registries.includes(hub)
      ? [{ path: '/etc/docker/daemon.json', text: `${JSON.stringify(settings, undefined, 2)}\n` }]
      : [],
    note: registries.includes(hub)
      ? 'Docker mirrors Docker Hub only. Then: systemctl reload docker.'
      : 'Docker mirrors Docker Hub only, and this onepull does not serve it.',
  };
}

function containers({ address, isTls, registries }: Target): ClientConfiguration {
  const one = (registry: string) =>
    `[[registry]]\nprefix = "${registry}"\nlocation = "${registry}"\n[[registry.mirror]]\nlocation = "${address}/${registry}"\n${isTls ? '' : 'insecure = true\n'}`;
  return {
    name: 'Podman, CRI-O, skopeo',
    files: [{ path: '/etc/containers/registries.conf.d/onepull.conf', text: registries.map(one).join('\n') }],
  };
}

function k3s({ registries }: Target, origin: string): ClientConfiguration {
  const lines = registries.map((registry) => `  ${registry}: { endpoint: ["${origin}"] }\n`);
  return {
    name: 'k3s',
    files: [
      {
        path: '/etc/rancher/k3s/registries.yaml',
        text: `mirrors:\n${lines.join('')}`,
        note: 'On each node; then restart k3s.',
      },
    ],
  };
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
