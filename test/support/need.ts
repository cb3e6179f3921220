import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

const packages: Readonly<Record<string, string>> = {
  htpasswd: 'apache2-utils',
  nginx: 'nginx-light',
  varnishd: 'varnish',
  'redis-cli': 'redis-tools',
  ctr: 'containerd',
  ip: 'iproute2',
  tc: 'iproute2',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  setpriv: 'util-linux',
  promtool: 'prometheus',
};

/** For `test(name, { skip: needs('skopeo') }, ...)`: false, or which Debian packages to install to run the test. */
export function needs(...commands: readonly string[]): string | false {
  const missing = commands.filter((command) => !isInstalled(command)).map((command) => packages[command] ?? command);
  return missing.length === 0 ? false : `needs: apt-get install ${[...new Set(missing)].join(' ')}`;
}

function isInstalled(command: string): boolean {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
