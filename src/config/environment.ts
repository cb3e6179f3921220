import { anyName, genericPath, type Setting, settings, variableFor, variablePrefix } from './outline.ts';
import { didYouMean, type Problem } from './problems.ts';

/** One value that a variable or a flag sets. */
export interface Override {
  readonly setting: Setting;
  readonly path: readonly string[];
  readonly value: unknown;
  /** The variable's or the flag's name. */
  readonly source: string;
}

/**
 * What Kubernetes puts into every container of a namespace with a Service named `onepull`
 * (Kubernetes documentation, "Environment variables" of a Service): not meant for us.
 */
const serviceLink =
  /^ONEPULL_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/;

/**
 * Reads the `ONEPULL_` variables. An upstream is configured by name, so only those in `upstreamNames` can be set. An
 * empty variable counts as none.
 */
export function readEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  upstreamNames: readonly string[],
): { overrides: Override[]; problems: Problem[] } {
  const known = knownVariables(upstreamNames);
  const overrides: Override[] = [];
  const problems: Problem[] = [];
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith(variablePrefix) || text === undefined || text === '' || serviceLink.test(variable))
      continue;
    const meanings = known.get(variable) ?? [];
    const [meaning, ...others] = meanings;
    if (meaning === undefined) {
      problems.push(unknownVariable(variable, [...known.keys()]));
    } else if (others.length > 0) {
      const names = meanings.map(({ path }) => path[1]).join(' and ');
      problems.push(problem(variable, `could mean ${names}`, 'set it in the configuration file'));
    } else {
      overrides.push({ ...meaning, value: fromText(meaning.setting, text), source: variable });
    }
  }
  return { overrides, problems };
}

/** A value given as text, in the form that YAML would have given it. What does not fit stays text, and is refused. */
export function fromText(setting: Setting, text: string): unknown {
  if (setting.list) {
    return text
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '');
  }
  if (setting.kind === 'boolean' && /^(true|false)$/i.test(text)) return text.toLowerCase() === 'true';
  if (setting.kind === 'integer' && /^\d+$/.test(text)) return Number(text);
  return text;
}

type Meaning = Pick<Override, 'setting' | 'path'>;

function knownVariables(upstreamNames: readonly string[]): Map<string, Meaning[]> {
  const known = new Map<string, Meaning[]>();
  for (const setting of settings()) {
    const names = setting.path.includes(anyName) ? upstreamNames : [''];
    for (const name of names) {
      const path = setting.path.map((key) => (key === anyName ? name : key));
      const variable = variableFor(path);
      known.set(variable, [...(known.get(variable) ?? []), { setting, path }]);
    }
  }
  return known;
}

function unknownVariable(variable: string, known: readonly string[]): Problem {
  const hint = didYouMean(variable, known);
  const upstreamPrefix = variableFor(genericPath(['upstreams']));
  return variable.startsWith(`${upstreamPrefix}_`)
    ? problem(variable, 'sets no key of an upstream that is configured', hint ?? 'add the upstream to the file')
    : problem(variable, 'is not a known variable', hint ?? 'see docs/CONFIGURATION.md');
}

function problem(variable: string, text: string, hint: string): Problem {
  return { path: variable, problem: text, hint, source: variable };
}
