import { join } from 'node:path';
import { ClientFleet } from '../support/clients/client-fleet.ts';
import { monotonicNs } from '../support/monotonic.ts';
import { readProfiles } from '../support/profile/cpu-profile.ts';
import { profileTable } from '../support/profile/profile-table.ts';
import { onepullServer } from '../support/subjects/onepull-server.ts';
import { Upstream } from '../support/upstream/upstream.ts';
import { type Case, caseName } from './cases.ts';
import { addContent, pathsOf } from './content.ts';
import { measureLoad } from './measure-load.ts';
import type { Parameters } from './parameters.ts';
import { startWarm } from './stage.ts';
import { quietSettings } from './subjects.ts';

/**
 * Each load once, on a onepull of its own that writes a profile of every thread when it ends; of these, only what was
 * under the load counts. Its rates are lower than those of a run without profiles. Returns the report as Markdown.
 */
export async function profileThroughput(
  parameters: Parameters,
  cases: readonly Case[],
  folder: string,
  progress: (line: string) => void,
): Promise<string> {
  await using upstream = await Upstream.start();
  await using fleet = new ClientFleet(1);
  const content = await addContent(upstream, parameters);
  const { seconds, rangeBytes } = parameters;
  const sections: string[] = [];
  for (const one of cases.filter(({ subjects }) => subjects.includes('onepull'))) {
    const name = caseName(one);
    const own = join(folder, name.replaceAll(/[^\w]+/g, '-'));
    const env = { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${own}` };
    const subject = onepullServer({ name: 'onepull', title: 'onepull', settings: quietSettings, env });
    const window = { fromNs: 0, toNs: 0 };
    {
      await using running = await startWarm(subject, upstream, pathsOf(content));
      const setup = { fleet, content, case: one, round: 1, seconds, rangeBytes };
      window.fromNs = monotonicNs();
      const { requests, seconds: took, errors } = await measureLoad({ name: 'onepull', running }, setup);
      window.toNs = monotonicNs();
      progress(`${name}: ${errors.length > 0 ? errors.join('; ') : `${(requests / took).toFixed(0)}/s`}`);
    }
    sections.push(`## ${name}\n\n${profileTable(await readProfiles(own, window))}\n`);
  }
  return `# Profiles\n\n${sections.join('\n')}`;
}
