import type { ComponentChildren } from 'preact';

interface FigureProps {
  readonly name: string;
  readonly value: ComponentChildren;
  readonly note?: ComponentChildren;
}

/** A number with its name, in a `<dl class="figures">`. */
export function Figure({ name, value, note }: FigureProps) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class="num">
        {value}
        {note !== undefined && <small>{note}</small>}
      </dd>
    </div>
  );
}
