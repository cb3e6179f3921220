/** Whose bars have which colour: in every chart the same, whatever a variant adds to the name. */
const names = ['onepull', 'distribution', 'nginx', 'varnish'];

/** A style of the charts, from 1 on; whoever has none of its own gets the one after these. */
export function subjectStyle(subject: string): number {
  const index = names.indexOf(subject.split(',')[0] ?? '');
  return 1 + (index < 0 ? names.length : index);
}
