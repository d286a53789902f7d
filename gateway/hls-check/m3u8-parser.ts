import type {
  Attributes,
  Media,
  MediaPlaylist,
  Multivariant,
  Part,
  Playlist,
  Report,
  Segment,
  Tag,
  Trouble,
  Value,
  Variant,
  Written,
} from './m3u8.ts';

/** `NAME=value,NAME="value"` (§4.2); what is no attribute list is told to `wrong`. */
export function attributesOf(text: string, wrong: (seen: string) => void): Attributes {
  const all = new Map<string, Value>();
  const one = /([A-Z0-9-]+)=(?:"([^"\r\n]*)"|([^",\s][^",]*))(?:,|$)/uy;
  while (one.lastIndex < text.length) {
    const from = one.lastIndex;
    const match = one.exec(text);
    if (!match) {
      wrong(text.slice(from, from + 60));
      break;
    }
    const [, name = '', inside, plain] = match;
    if (all.has(name)) wrong(`${name} twice`);
    all.set(name, { text: inside ?? plain ?? '', quoted: inside !== undefined });
  }
  return all;
}

const IN_MULTIVARIANT = new Set(['EXT-X-STREAM-INF', 'EXT-X-MEDIA', 'EXT-X-I-FRAME-STREAM-INF']);

export function parsePlaylist(text: string): Playlist {
  const troubles: Trouble[] = [];
  if (text.startsWith('\u{feff}')) troubles.push({ line: 1, what: 'encoding', seen: 'a byte order mark' });
  const lines = text.replace(/^\u{feff}/u, '').split(/\r?\n/u);
  if (lines[0] !== '#EXTM3U') troubles.push({ line: 1, what: 'header', seen: (lines[0] ?? '').slice(0, 60) });
  const tags = lines.flatMap((line, n): Tag[] => {
    const match = /^#(EXT[A-Z0-9-]*)(?::(.*))?$/u.exec(line);
    if (match) return [{ line: n + 1, name: match[1] ?? '', text: match[2] ?? '' }];
    return line.trim() === '' || line.startsWith('#') ? [] : [{ line: n + 1, name: '', text: line }];
  });
  const versions = tags.filter(({ name }) => name === 'EXT-X-VERSION');
  if (versions[1]) troubles.push({ line: versions[1].line, what: 'twice', seen: 'EXT-X-VERSION' });
  const written: Written = {
    text,
    tags,
    troubles,
    version: versions[0] && Number(versions[0].text),
    independent: tags.some(({ name }) => name === 'EXT-X-INDEPENDENT-SEGMENTS'),
  };
  return tags.some(({ name }) => IN_MULTIVARIANT.has(name))
    ? multivariantOf(written, troubles)
    : mediaOf(written, troubles);
}

/** Reads values and tells what is wrong with them. */
const reader = (troubles: Trouble[]) => {
  const numberOf = (text: string | undefined, line: number): number | undefined => {
    if (text === undefined) return undefined;
    if (/^-?\d+(\.\d+)?$/u.test(text)) return Number(text);
    troubles.push({ line, what: 'number', seen: text.slice(0, 60) });
    return undefined;
  };
  const attributes = ({ text, line }: Tag) =>
    attributesOf(text, (seen) => troubles.push({ line, what: 'attributes', seen }));
  return { numberOf, attributes };
};

function multivariantOf(written: Written, troubles: Trouble[]): Multivariant {
  const { numberOf, attributes } = reader(troubles);
  const media: Media[] = [];
  const variants: Variant[] = [];
  written.tags.forEach((tag, n) => {
    if (tag.name === 'EXT-X-MEDIA') {
      const of = attributes(tag);
      const text = (name: string) => of.get(name)?.text;
      media.push({
        line: tag.line,
        type: text('TYPE'),
        group: text('GROUP-ID'),
        name: text('NAME'),
        language: text('LANGUAGE'),
        uri: text('URI'),
        preferred: text('DEFAULT') === 'YES',
        autoselect: text('AUTOSELECT') === 'YES',
        attributes: of,
      });
    } else if (tag.name === 'EXT-X-STREAM-INF') {
      const of = attributes(tag);
      const next = written.tags[n + 1];
      const [, width, height] = /^(\d+)x(\d+)$/u.exec(of.get('RESOLUTION')?.text ?? '') ?? [];
      variants.push({
        line: tag.line,
        uri: next?.name === '' ? next.text : undefined,
        bandwidth: numberOf(of.get('BANDWIDTH')?.text, tag.line),
        average: numberOf(of.get('AVERAGE-BANDWIDTH')?.text, tag.line),
        codecs: of.get('CODECS')?.text.split(','),
        size: width && height ? { width: Number(width), height: Number(height) } : undefined,
        rate: numberOf(of.get('FRAME-RATE')?.text, tag.line),
        attributes: of,
      });
    }
  });
  const iFrames = written.tags.filter(({ name }) => name === 'EXT-X-I-FRAME-STREAM-INF').length;
  return { ...written, kind: 'multivariant', media, variants, iFrames };
}

/** What is said of the next segment. */
interface Coming {
  line: number | undefined;
  duration: number | undefined;
  parts: Part[];
  discontinuity: boolean;
  date: number | undefined;
  gap: boolean;
  range: string | undefined;
}
const nothing = (): Coming => ({
  ...{ line: undefined, duration: undefined, parts: [], discontinuity: false },
  ...{ date: undefined, gap: false, range: undefined },
});

function mediaOf(written: Written, troubles: Trouble[]): MediaPlaylist {
  const { numberOf, attributes } = reader(troubles);
  const single = (name: string) => written.tags.find((tag) => tag.name === name);
  const whole = (name: string) => {
    const tag = single(name);
    return tag && numberOf(tag.text, tag.line);
  };
  const sequence = whole('EXT-X-MEDIA-SEQUENCE') ?? 0;
  const first = whole('EXT-X-DISCONTINUITY-SEQUENCE') ?? 0;
  const skip = single('EXT-X-SKIP');
  const skipped = skip ? (numberOf(attributes(skip).get('SKIPPED-SEGMENTS')?.text, skip.line) ?? 0) : 0;
  const segments: Segment[] = [];
  const reports: Report[] = [];
  let [coming, map, era] = [nothing(), undefined as string | undefined, first];
  let hint: string | undefined;
  const finish = (line: number, uri: string | undefined) => {
    if (coming.discontinuity) era += 1;
    const { duration, parts, discontinuity, date, gap, range } = coming;
    const number = sequence + skipped + segments.length;
    segments.push({ line, number, uri, duration, parts, discontinuity, era, map, date, gap, range });
    coming = nothing();
  };
  for (const tag of written.tags) {
    const { name, text, line } = tag;
    if (name === '') {
      if (coming.duration === undefined) troubles.push({ line, what: 'extinf', seen: text.slice(0, 60) });
      finish(coming.line ?? line, text);
    } else if (name === 'EXTINF') {
      coming.duration = numberOf(text.split(',')[0], line);
      coming.line = line;
    } else if (name === 'EXT-X-DISCONTINUITY') coming.discontinuity = true;
    else if (name === 'EXT-X-GAP') coming.gap = true;
    else if (name === 'EXT-X-BYTERANGE') coming.range = text;
    else if (name === 'EXT-X-PROGRAM-DATE-TIME') coming.date = Date.parse(text);
    else if (name === 'EXT-X-MAP') map = attributes(tag).get('URI')?.text;
    else if (name === 'EXT-X-PART') {
      const of = attributes(tag);
      coming.parts.push({
        line,
        uri: of.get('URI')?.text ?? '',
        duration: numberOf(of.get('DURATION')?.text, line) ?? 0,
        independent: of.get('INDEPENDENT')?.text === 'YES',
        gap: of.get('GAP')?.text === 'YES',
        range: of.get('BYTERANGE')?.text,
      });
    } else if (name === 'EXT-X-PRELOAD-HINT') {
      const of = attributes(tag);
      if (of.get('TYPE')?.text === 'PART') hint = of.get('URI')?.text;
    } else if (name === 'EXT-X-RENDITION-REPORT') {
      const of = attributes(tag);
      const number = numberOf(of.get('LAST-MSN')?.text, line);
      reports.push({ uri: of.get('URI')?.text ?? '', number, part: numberOf(of.get('LAST-PART')?.text, line) });
    }
  }
  if (coming.parts.length > 0) finish(coming.parts[0]?.line ?? 0, undefined);
  const control = single('EXT-X-SERVER-CONTROL');
  const of = control && attributes(control);
  const seconds = (name: string) => control && numberOf(of?.get(name)?.text, control.line);
  const info = single('EXT-X-PART-INF');
  return {
    ...written,
    kind: 'media',
    target: whole('EXT-X-TARGETDURATION'),
    sequence,
    era: first,
    partTarget: info && numberOf(attributes(info).get('PART-TARGET')?.text, info.line),
    control: of && {
      block: of.get('CAN-BLOCK-RELOAD')?.text === 'YES',
      skipUntil: seconds('CAN-SKIP-UNTIL'),
      holdBack: seconds('HOLD-BACK'),
      partHoldBack: seconds('PART-HOLD-BACK'),
    },
    type: single('EXT-X-PLAYLIST-TYPE')?.text,
    skipped,
    segments,
    hint,
    reports,
    ended: single('EXT-X-ENDLIST') !== undefined,
  };
}
