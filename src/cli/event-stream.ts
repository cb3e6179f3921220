/** One event of a `text/event-stream` (WHATWG HTML, "Server-sent events"). */
export interface ServerEvent {
  readonly event: string;
  readonly data: string;
}

/** The events of a stream as they become complete; what the end cuts off is no event. */
export async function* eventsIn(chunks: AsyncIterable<string>): AsyncGenerator<ServerEvent, void, undefined> {
  let event = 'message';
  let data: string[] = [];
  for await (const line of linesIn(chunks)) {
    if (line === '') {
      if (data.length > 0) yield { event, data: data.join('\n') };
      event = 'message';
      data = [];
      continue;
    }
    const [field, value] = fieldOf(line);
    if (field === 'event') event = value;
    else if (field === 'data') data.push(value);
  }
}

/** Each chunk is looked at once: a line may have many megabytes. */
async function* linesIn(chunks: AsyncIterable<string>): AsyncGenerator<string, void, undefined> {
  let begun: string[] = [];
  for await (const chunk of chunks) {
    const [first = '', ...others] = chunk.split('\n');
    begun.push(first);
    if (others.length === 0) continue;
    const rest = others.pop() ?? '';
    for (const line of [begun.join(''), ...others]) yield line.endsWith('\r') ? line.slice(0, -1) : line;
    begun = [rest];
  }
}

function fieldOf(line: string): [field: string, value: string] {
  const colon = line.indexOf(':');
  if (colon < 0) return [line, ''];
  return [line.slice(0, colon), line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1))];
}
