import { type Problem, problemsText } from '../config/problems.ts';
import { exitCodes } from './options.ts';
import { piece } from './text-line.ts';

export interface CommandFailureFacts {
  /** What to do about it. */
  readonly hint?: string | undefined;
  /** `failed` unless told. */
  readonly exitCode?: number;
  /** `refused`: the instance has an answer, and it is no; `passing`: it did not answer, and may do so soon. */
  readonly kind?: 'final' | 'passing' | 'refused';
  readonly cause?: unknown;
}

/** A command cannot do what it was asked to: a sentence and a hint for whoever typed it. Never reaches a client. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure';
  readonly hint: string | undefined;
  readonly exitCode: number;
  readonly kind: 'final' | 'passing' | 'refused';

  constructor(message: string, facts: CommandFailureFacts = {}) {
    const { hint, exitCode = exitCodes.failed, kind = 'final', cause } = facts;
    super(message, cause === undefined ? undefined : { cause });
    this.hint = hint;
    this.exitCode = exitCode;
    this.kind = kind;
  }

  /** For standard error: a line for each thing that is wrong, and one for its hint. */
  get text(): string {
    const lines = [...this.message.split('\n'), ...(this.hint === undefined ? [] : [`${indent}hint: ${this.hint}`])];
    return lines.map((line) => `${line.startsWith(indent) ? '' : 'onepull: '}${piece(line).text}\n`).join('');
  }
}

const indent = '    ';

/** What was typed is wrong. */
export function usageFailure(message: string, hint?: string): CommandFailure {
  return new CommandFailure(message, { hint, exitCode: exitCodes.usage });
}

/** All that is wrong with a configuration; `file` is its own, where it has one. */
export function configFailure(problems: readonly Problem[], file: string | undefined): CommandFailure {
  return usageFailure(problemsText(problems, file).trimEnd());
}
