// Readable on white and on black: the page that shows the picture may be either.
export const chartStyle = `
    text { font: 12px system-ui, sans-serif; fill: #57606a; }
    .title { font-weight: 600; font-size: 14px; fill: #24292f; }
    .note { font-size: 11px; }
    .grid { stroke: #8c959f; stroke-opacity: 0.3; }
    .reference { stroke: #8c959f; stroke-dasharray: 4 4; fill: none; }
    .line { fill: none; stroke-width: 2.5; }
    .s1 { stroke: #2f81f7; } .f1, text.f1 { fill: #2f81f7; }
    .s2 { stroke: #d9730d; } .f2, text.f2 { fill: #d9730d; }
    .s3 { stroke: #8957e5; } .f3, text.f3 { fill: #8957e5; }
    .s4 { stroke: #1a7f37; } .f4, text.f4 { fill: #1a7f37; }
    .s5 { stroke: #bf3989; } .f5, text.f5 { fill: #bf3989; }
    .whisker { stroke: #57606a; stroke-width: 1.5; }
    .name { font-weight: 600; }
    @media (prefers-color-scheme: dark) { text { fill: #8b949e; } .title { fill: #e6edf3; } }`;

/** Text as XML has it. */
export function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
