/** Text out of bytes, cut into lines that end in LF or CRLF; the last one needs no end. */
export async function* linesOf(
  bytes: AsyncIterable<Uint8Array>,
  longest = 1 << 24,
): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder();
  let held = '';
  for await (const piece of bytes) {
    const lines = (held + decoder.decode(piece, { stream: true })).split('\n');
    held = lines.pop() ?? '';
    if (held.length > longest) throw new RangeError(`Cannot read lines: one is longer than ${longest} characters`);
    for (const line of lines) yield line.endsWith('\r') ? line.slice(0, -1) : line;
  }
  held += decoder.decode();
  if (held !== '') yield held;
}

/** One event of a server's stream. */
export interface ServerEvent {
  readonly event: string;
  readonly data: string;
}

/**
 * Server-sent events out of bytes. What is not finished by an empty line is not an event.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export async function* eventsOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent, void, void> {
  let event = 'message';
  let data: string[] = [];
  for await (const line of linesOf(bytes)) {
    if (line === '') {
      if (data.length > 0) yield { event, data: data.join('\n') };
      [event, data] = ['message', []];
      continue;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') data.push(value);
    if (field === 'event' && value !== '') event = value;
  }
}
