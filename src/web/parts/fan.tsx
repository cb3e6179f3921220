const width = 44;
const height = 32;
const mostProngs = 9;

/** One line in, as many out as wait (up to nine): what onepull does for this pull, at a glance. The figures stand beside it. */
export function Fan({ waiters, state }: { readonly waiters: number; readonly state: string }) {
  const prongs = Math.min(mostProngs, waiters);
  const middle = height / 2;
  const ends = Array.from({ length: prongs }, (_, n) =>
    prongs === 1 ? middle : 3 + (n * (height - 6)) / (prongs - 1),
  );
  return (
    <svg class={`fan fan-${state}`} viewBox={`0 0 ${width} ${height}`} width={width} height={height} aria-hidden="true">
      <path class="fan-in" d={`M1 ${middle}H14`} />
      {ends.map((y) => (
        <path key={y} d={`M14 ${middle}C26 ${middle} 26 ${y} ${width - 1} ${y}`} />
      ))}
      <circle cx="14" cy={middle} r="3" />
    </svg>
  );
}
