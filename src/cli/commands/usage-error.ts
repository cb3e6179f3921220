/** What commander says of a wrong command line, as all other errors are told: a line, and one for a hint. */
export function usageErrorText(text: string): string {
  const [message = '', ...rest] = text.trimEnd().split('\n');
  const suggestion = /^\(?Did you mean (.*?)\)?$/i.exec(rest.join(' '))?.[1];
  const hints = suggestion === undefined ? rest : [`hint: did you mean ${suggestion}`];
  return [`onepull: ${message.replace(/^error: /, '')}`, ...hints.map((hint) => `    ${hint}`)]
    .map((line) => `${line}\n`)
    .join('');
}
