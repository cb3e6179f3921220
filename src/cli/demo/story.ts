import { formatDuration, formatSize } from '../../core/units.ts';
import type { Terminal } from '../terminal.ts';
import type { PhaseKind } from './phase.ts';
import type { DemoPlan } from './plan.ts';
import { repository, type Stage, tag } from './stage.ts';

/** What is about to happen, with every choice that the figures depend on. */
export function introduction({ nodes, layerSizes, lineBytesPerSecond }: DemoPlan, imageBytes: number): string {
  const aloneMs = (1000 * imageBytes) / lineBytesPerSecond;
  const megabits = Math.round((8 * lineBytesPerSecond) / 1e6);
  return [
    `${nodes} nodes pull the same image at the same moment, twice; all on this machine.`,
    '',
    `  image     ${formatSize(imageBytes)} in ${layerSizes.length} layers`,
    `  upstream  a registry that wants tokens, on a line of ${formatSize(lineBytesPerSecond)}/s (${megabits} Mbit/s)`,
    '            that all connections share',
    `  so that   one node alone needs ${formatDuration(aloneMs)}, and ${nodes} on their own about ${formatDuration(nodes * aloneMs)}`,
  ].join('\n');
}

export function heading(kind: PhaseKind, { paint }: Terminal): string {
  const [step, name, how] =
    kind === 'onItsOwn'
      ? ['1 of 2', 'each on its own', 'every node pulls from upstream itself']
      : ['2 of 2', 'through onepull', 'one pull from upstream, shared by all nodes'];
  return `\n${paint('dim', step)}  ${paint('bold', name)}: ${how}`;
}

export function nextSteps(): string {
  const step = (what: string, text: string) => `  ${what.padEnd(18)}  ${text}`;
  return [
    'Next:',
    step(`${command()} serve`, 'the real thing, for Docker Hub and other registries'),
    step('README.md', 'how to point containerd, Docker and Podman at it'),
  ].join('\n');
}

/** How to look at what `--serve` keeps running. */
export function lookAround({ onepull, registry }: Stage): string {
  const image = `${onepull.host}/${repository}:${tag}`;
  const admin = new URL(onepull.adminUrl).host;
  return [
    'Still running, until Ctrl-C:',
    `  onepull   ${onepull.host}, admin ${onepull.adminUrl}`,
    `  its log   ${onepull.logFile}`,
    `  upstream  ${registry.host}`,
    'Look around:',
    `  ${command()} status --admin ${admin}`,
    `  ${command()} watch --admin ${admin}`,
    `  curl -s ${onepull.adminUrl}/metrics | grep onepull_upstream`,
    'Pull through it:',
    `  skopeo copy --src-tls-verify=false docker://${image} dir:app`,
    `  podman pull --tls-verify=false ${image}`,
  ].join('\n');
}

/** As one types it: in a checkout, the sources run. */
function command(): string {
  return import.meta.url.endsWith('.ts') ? 'bin/onepull' : 'onepull';
}
