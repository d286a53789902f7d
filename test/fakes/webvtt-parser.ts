/** A cue as a strict reader sees it. Times in milliseconds. */
export interface ParsedCue {
  readonly id: string;
  readonly start: number;
  readonly end: number;
  readonly settings: Readonly<Record<string, string>>;
  readonly voice: string;
  readonly lines: readonly string[];
}
export interface ParsedVtt {
  /** Colour of each voice. */
  readonly styles: ReadonlyMap<string, string>;
  readonly cues: readonly ParsedCue[];
}

const TIME = String.raw`(\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3})`;
const TIMINGS = new RegExp(`^${TIME}[ \\t]+-->[ \\t]+${TIME}((?:[ \\t]+\\S+)*)$`);
/** WebVTT §4.4, each setting's values as far as ours go. */
const SETTINGS: Readonly<Record<string, RegExp>> = {
  vertical: /^(rl|lr)$/,
  line: /^(-?\d+|\d+(\.\d+)?%)(,(start|center|end))?$/,
  position: /^(\d+(\.\d+)?)%(,(line-left|center|line-right))?$/,
  size: /^(\d+(\.\d+)?)%$/,
  align: /^(start|center|end|left|right)$/,
};

/**
 * Reads a WebVTT file as its authors must write it (W3C WebVTT, 4 April 2019, §4 "Syntax"), and throws at the first thing
 * that is not so. Browsers forgive; this does not.
 */
export function parseVtt(text: string): ParsedVtt {
  const fail = (why: string, where: string): never => {
    throw new Error(`${why}: ${JSON.stringify(where)}`);
  };
  // §4.1: the signature, then at least one blank line before anything else.
  const lines = text.split(/\r\n|\n|\r/u);
  if (lines[0] !== 'WEBVTT') fail('no signature', text.slice(0, 20));
  if (text.includes('\u0000')) fail('NUL', text);
  if (lines.length > 1 && lines[1] !== '') fail('no blank line after the signature', lines[1] ?? '');
  const blocks: string[][] = [];
  let block: string[] = [];
  for (const line of [...lines.slice(1), '']) {
    if (line !== '') block.push(line);
    else if (block.length > 0) {
      blocks.push(block);
      block = [];
    }
  }
  const styles = new Map<string, string>();
  const cues: ParsedCue[] = [];
  const ids = new Set<string>();
  for (const [first = '', ...rest] of blocks) {
    if (first === 'STYLE') {
      // §4.1: style blocks come before the first cue and hold no "-->".
      if (cues.length > 0) fail('a style sheet behind a cue', first);
      for (const line of rest) {
        if (line.includes('-->')) fail('an arrow in a style sheet', line);
        const rule =
          /^::cue\(v\[voice="((?:[^"\\\n]|\\[0-9a-f]{1,6} )*)"\]\) \{ color: (#[0-9a-f]{6}); \}$/u.exec(line) ??
          fail('a rule that is none', line);
        const voice = rule[1]!.replaceAll(/\\([0-9a-f]{1,6}) /g, (_, hex: string) =>
          String.fromCodePoint(Number.parseInt(hex, 16)),
        );
        styles.set(voice, rule[2]!);
      }
      continue;
    }
    const [id, timings, ...body] = first.includes('-->') ? ['', first, ...rest] : [first, ...rest];
    if (ids.has(id)) fail('an identifier twice', id);
    ids.add(id);
    const match = TIMINGS.exec(timings ?? '') ?? fail('no timings', `${first} / ${timings}`);
    const [h1, m1, s1, f1, h2, m2, s2, f2] = match.slice(1, 9).map(Number) as [
      number, number, number, number, number, number, number, number,
    ]; // prettier-ignore
    const start = ((h1 * 60 + m1) * 60 + s1) * 1_000 + f1;
    const end = ((h2 * 60 + m2) * 60 + s2) * 1_000 + f2;
    // §4.3: a cue ends after it starts; none starts before one that is above it.
    if (end <= start) fail('ends before it starts', timings!);
    if (start < (cues.at(-1)?.start ?? 0)) fail('starts before the one above', timings!);
    const settings: Record<string, string> = {};
    for (const setting of (match[9] ?? '')
      .trim()
      .split(/[ \t]+/u)
      .filter(Boolean)) {
      const [name = '', value = ''] = setting.split(/:(.*)/su);
      if (name in settings) fail('a setting twice', setting);
      if (!SETTINGS[name]?.test(value)) fail('a setting that is none', setting);
      if (Number.parseFloat(value) > 100 && value.endsWith('%')) fail('more than all', setting);
      settings[name] = value;
    }
    if (body.length === 0) fail('no text', first);
    // §4.2.2: one voice span around it all, whose end tag may then be left out.
    const span =
      /^<v(?:\.[^\s<>&.]+)*[ \t]+([^\n>]+)>([^]*)$/u.exec(body.join('\n')) ?? fail('no voice', body.join('\n'));
    const text = unescaped(span[2]!, fail);
    if (unescaped(span[1]!, fail).trim() === '') fail('a voice without a name', span[1]!);
    cues.push({ id: id, start, end, settings, voice: unescaped(span[1]!, fail), lines: text.split('\n') });
  }
  return { styles, cues };
}

/** §4.2.2: a cue text span has no "<", no "-->", and "&" only in character references. */
function unescaped(text: string, fail: (why: string, where: string) => never): string {
  if (/[<>]/u.test(text)) fail('markup', text);
  return text.replaceAll(/&(\w*);?/gu, (reference, name: string) => {
    const sign = { amp: '&', lt: '<', gt: '>' }[name];
    return sign !== undefined && reference.endsWith(';') ? sign : fail('no reference', reference);
  });
}
