/** The clients that are known here, as `onepull clients` takes them. */
export const clientNames = ['containerd', 'docker', 'podman', 'crio', 'k3s'] as const;
export type ClientName = (typeof clientNames)[number];
