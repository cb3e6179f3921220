import type { Command, Option } from 'commander';

export interface Candidate {
  readonly value: string;
  readonly description: string;
}

/** What may stand where the cursor is. `images`: of a running instance, found with the flags that were typed. */
export type Completion =
  | { readonly kind: 'candidates'; readonly candidates: readonly Candidate[] }
  | { readonly kind: 'files' | 'folders' }
  | { readonly kind: 'images'; readonly flags: Readonly<Record<string, string>> };

const nothing: Completion = { kind: 'candidates', candidates: [] };

/** `words` are what stands after the program's name up to the cursor; the last one, maybe empty, is the one to complete. */
export function completionOf(program: Command, words: readonly string[]): Completion {
  const { command, place, flags, used, open } = read(program, words.slice(0, -1));
  const word = words.at(-1) ?? '';
  if (open !== undefined) return valuesOf(open, word);
  const isFlag = word.startsWith('-') && place !== 'afterDashes';
  if (isFlag) return matching(flagsOf(command, used), word);
  const argument = command.registeredArguments.at(Math.min(flags.position, command.registeredArguments.length - 1));
  const isFull = argument === undefined || (flags.position >= command.registeredArguments.length && !argument.variadic);
  if (command.commands.length > 0 && flags.position === 0) return matching(commandsOf(command), word);
  if (isFull) return nothing;
  if (argument.argChoices !== undefined) return matching(argument.argChoices.map(plain), word);
  if (argument.name() === 'command') return matching(commandsOf(program), word);
  // What is to be pulled for the first time nobody knows yet.
  return argument.name() === 'image' && command.name() !== 'preheat'
    ? { kind: 'images', flags: flags.values }
    : nothing;
}

/** What the words before the cursor say. */
function read(program: Command, words: readonly string[]) {
  let command = program;
  let place: 'anywhere' | 'afterDashes' = 'anywhere';
  let open: Option | undefined;
  const flags = { position: 0, values: {} as Record<string, string> };
  const used = new Set<Option>();
  for (const word of words) {
    if (open !== undefined) {
      flags.values[open.attributeName()] = word;
      open = undefined;
    } else if (word === '--' && place === 'anywhere') {
      place = 'afterDashes';
    } else if (word.startsWith('-') && place === 'anywhere') {
      const [name = '', value] = word.split(/=(.*)/s);
      const option = optionsOf(command).find(({ long, short }) => long === name || short === name);
      if (option === undefined) continue;
      used.add(option);
      if (takesValue(option) && value === undefined) open = option;
      else if (value !== undefined) flags.values[option.attributeName()] = value;
    } else {
      const next = command.commands.find((known) => known.name() === word);
      if (next === undefined || flags.position > 0) flags.position++;
      else command = next;
    }
  }
  return { command, place, flags, used, open };
}

function valuesOf(option: Option, word: string): Completion {
  if (option.argChoices !== undefined) return matching(option.argChoices.map(plain), word);
  if (option.flags.includes('<file>')) return { kind: 'files' };
  return option.flags.includes('<dir>') ? { kind: 'folders' } : nothing;
}

function flagsOf(command: Command, used: ReadonlySet<Option>): Candidate[] {
  return optionsOf(command)
    .filter((option) => !option.hidden && (!used.has(option) || /again for more/.test(option.description)))
    .map(({ long, short, description }) => ({ value: long ?? short ?? '', description }));
}

function optionsOf(command: Command): readonly Option[] {
  return command.createHelp().visibleOptions(command);
}

function commandsOf(command: Command): Candidate[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .map((known) => ({ value: known.name(), description: known.description() }));
}

function takesValue({ required, optional }: Option): boolean {
  return required || optional;
}

function plain(value: string): Candidate {
  return { value, description: '' };
}

function matching(candidates: readonly Candidate[], word: string): Completion {
  return { kind: 'candidates', candidates: candidates.filter(({ value }) => value.startsWith(word)) };
}
