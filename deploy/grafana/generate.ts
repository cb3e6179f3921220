import { readFileSync, writeFileSync } from 'node:fs';
import { grafanaDashboard } from './dashboard.ts';

/** Writes onepull.json; with `--check` it writes nothing and fails where that is not what dashboard.ts says. */
const file = new URL('onepull.json', import.meta.url);
const wanted = `${JSON.stringify(grafanaDashboard(), undefined, 2)}\n`;
if (!process.argv.includes('--check')) {
  writeFileSync(file, wanted);
} else if (readFileSync(file, 'utf8') !== wanted) {
  console.error(`deploy/grafana/onepull.json is not what dashboard.ts says: run 'npm run docs'`);
  process.exitCode = 1;
}
