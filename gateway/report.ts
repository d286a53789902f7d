import { OpusDecoder } from '../media/opus.ts';
import { type MediaTime, at, seconds } from '../media/time.ts';
import { listenFor } from './listening.ts';
import { fitsWell } from './fit-counts.ts';
import type { LipsView, LoudnessView, TrackId } from './protocol.ts';
import { type Received, Tape } from './recorder.ts';
import type { LineRecord } from './session/ipc.ts';

/** p50, p95 and the extremes of what was measured. */
export interface Spread {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly min: number;
  readonly max: number;
}

/** What a viewer got, measured on what a viewer got. Times in seconds unless the name says otherwise. */
export interface Report {
  readonly programme: string;
  readonly from: string;
  readonly to: readonly string[];
  /** Seconds the programme was shown late when the recording ended. */
  readonly delay: number;
  readonly recorded: {
    readonly file: string;
    readonly seconds: number;
    readonly pictures: number;
    readonly packetsLost: number;
  };
  readonly lines: {
    readonly dubbed: number;
    readonly trimmed: number;
    readonly late: number;
    readonly captionOnly: number;
    /** Dub start less source start, programme seconds. */
    readonly startShift: Spread | null;
    /** The same without its sign: how far from its source a dub starts. */
    readonly startError: Spread | null;
    /** Playing speed, 1 = as the voice said it. */
    readonly speed: Spread | null;
    /** Dubs by the furthest step it took to make them fit, and the share of all dubs that each is, 0 to 1. */
    readonly rungs: Readonly<Record<string, number>>;
    readonly rungShares: Readonly<Record<string, number>>;
    /** Share of all dubs that were said whole at 0.9 to 1.2 times the voice's speed; `null` without one. */
    readonly withinSpeed: number | null;
  };
  /** What the session measured of what it sent, by track; `null` where it does not measure. */
  readonly loudness: Readonly<Record<string, LoudnessView>> | null;
  /** What became of the mouths; `null` where none are driven. */
  readonly lips: LipsView | null;
  /** Dubs that lie wholly in the recording, listened for in it. */
  readonly listening: {
    readonly scheduled: number;
    readonly heard: number;
    /** Onset found less start scheduled, ms. A voice's first 20–60 ms are soft. */
    readonly offsetMs: Spread | null;
  };
  /** Ear-voice span: from a source word's time at the publisher to its dub's at the viewer, by utterance start. */
  readonly earVoiceSpan: Spread | null;
  /** Video against dub as they arrived, each against its own time stamps, ms; positive: the picture is late. */
  readonly avOffsetMs: number | null;
  /** How long after the words were spoken each step was done. */
  readonly after: Readonly<Record<'recognised' | 'translated' | 'synthesised' | 'placed', Spread | null>>;
  /** How long before its deadline each dub was in place. */
  readonly slack: Spread | null;
  readonly transcript: readonly LineRecord[];
}

export function spread(values: readonly number[]): Spread | null {
  const sorted = [...values].sort((a, b) => a - b);
  const rank = (share: number) => round(sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0);
  if (sorted.length === 0) return null;
  return { count: sorted.length, p50: rank(0.5), p95: rank(0.95), min: rank(0), max: rank(1) };
}
const round = (value: number) => Math.round(value * 1_000) / 1_000;

type Dubbed = LineRecord & { readonly dub: NonNullable<LineRecord['dub']> };

/** How much sound is kept for listening: an hour's report listens to its first ten minutes. */
const LISTENED = seconds(600);

/** Takes notes of everything a viewer receives, and sums them up. */
export class Witness {
  readonly #transit = new Map<TrackId, number[]>();
  readonly #tapes = new Map<TrackId, { readonly decoder: OpusDecoder; readonly tape: Tape }>();
  #origin: MediaTime | undefined;

  received({ track, media, arrived }: Received): void {
    let transit = this.#transit.get(track);
    if (!transit) this.#transit.set(track, (transit = []));
    transit.push(arrived - media);
    if (transit.length > 200_000) transit.splice(0, 100_000);
  }

  audio(track: TrackId, media: MediaTime, payload: Uint8Array): void {
    this.#origin ??= media;
    let listener = this.#tapes.get(track);
    if (!listener) {
      listener = { decoder: new OpusDecoder(), tape: new Tape(this.#origin, LISTENED) };
      this.#tapes.set(track, listener);
    }
    listener.tape.put(media, listener.decoder.decode(payload));
  }

  /** What was heard of a track so far. */
  tape(track: TrackId): Tape | undefined {
    return this.#tapes.get(track)?.tape;
  }

  sum(facts: {
    readonly programme: string;
    readonly from: string;
    readonly to: readonly string[];
    readonly delay: number;
    /** Amplitude of the original under a dub, 0 to 1. */
    readonly underDub: number;
    readonly loudness: Report['loudness'];
    readonly lips?: Report['lips'];
    readonly lines: readonly LineRecord[];
    readonly recorded: Report['recorded'];
    /** The stretch of programme that was recorded. */
    readonly span: { readonly start: MediaTime; readonly end: MediaTime };
  }): Report {
    const { programme, from, to, delay, lines, loudness, lips = null, recorded, span } = facts;
    const within = lines.filter((line) => line.end > span.start && line.start < span.end);
    const count = (...outcomes: LineRecord['outcome'][]) =>
      within.filter((line) => outcomes.includes(line.outcome)).length;
    const dubs = within.flatMap((line) => (line.dub ? [{ ...line, dub: line.dub }] : []));
    const shifts = dubs.map((line) => (line.dub.start - line.start) / 1e6);
    const rungs = tally(dubs.map((line) => line.rung ?? 'natural'));
    const heard = dubs
      .filter(({ dub }) => dub.start > span.start + 500_000 && dub.end < span.end)
      .flatMap((line) => this.#listen(line, dubs, facts.underDub) ?? []);
    const offsets = heard.flatMap(({ offset }) => (offset === null ? [] : [offset / 1_000]));
    const transit = (track: TrackId) => spread(this.#transit.get(track) ?? [])?.p50;
    const picture = [...this.#transit.keys()].find((id) => id === 'video' || id.startsWith('video:')) ?? 'video';
    const [video, dub] = [transit(picture), transit(to[0] ? `dub:${to[0]}` : 'original')];
    const after = (step: keyof LineRecord['after']) =>
      spread(within.flatMap((line) => (line.after[step] === null ? [] : [line.after[step] / 1e6])));
    return {
      programme,
      from,
      to,
      delay,
      recorded,
      lines: {
        dubbed: count('dubbed', 'trimmed'),
        trimmed: count('trimmed'),
        late: count('late'),
        captionOnly: count('expired', 'refused'),
        startShift: spread(shifts),
        startError: spread(shifts.map(Math.abs)),
        speed: spread(dubs.map((line) => line.speed ?? 1)),
        rungs,
        rungShares: Object.fromEntries(Object.entries(rungs).map(([rung, n]) => [rung, round(n / dubs.length)])),
        withinSpeed: dubs.length === 0 ? null : round(dubs.filter(fitsWell).length / dubs.length),
      },
      loudness,
      lips,
      listening: {
        scheduled: heard.length,
        heard: heard.filter((each) => each.heard).length,
        offsetMs: spread(offsets),
      },
      earVoiceSpan: spread(dubs.map((line) => delay + (line.dub.start - line.start) / 1e6)),
      avOffsetMs: video === undefined || dub === undefined ? null : round((video - dub) / 1_000),
      after: {
        recognised: after('recognised'),
        translated: after('translated'),
        synthesised: after('synthesised'),
        placed: after('placed'),
      },
      slack: spread(within.flatMap(({ slack }) => (slack === null ? [] : [slack / 1e6]))),
      transcript: within,
    };
  }

  close(): void {
    for (const { decoder } of this.#tapes.values()) decoder[Symbol.dispose]();
  }

  #listen(line: Dubbed, all: readonly Dubbed[], underDub: number) {
    const dub = this.#tapes.get(`dub:${line.language}`)?.tape;
    const original = this.#tapes.get('original')?.tape;
    if (!dub || !original || line.dub.end > dub.end) return undefined;
    const clip = { start: at(line.dub.start - dub.origin), end: at(line.dub.end - dub.origin) };
    const others = all.filter((each) => each.language === line.language && each.dub.start < line.dub.start);
    const since = Math.max(dub.origin, ...others.map((each) => each.dub.end));
    return listenFor(clip, dub.pcm, original.pcm, underDub, at(Math.min(since, line.dub.start) - dub.origin));
  }
}

function tally(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

const clock = (micros: number) => {
  const s = Math.floor(micros / 1e6);
  return `${String(Math.floor(s / 60)).padStart(2, '0')}:${String(s % 60).padStart(2, '0')}.${Math.floor((micros % 1e6) / 1e5)}`;
};
const cut = (text: string, width: number) =>
  text.length > width ? `${text.slice(0, width - 1)}…` : text.padEnd(width);
const show = (value: Spread | null, unit: string, digits = 2) =>
  value ? `p50 ${value.p50.toFixed(digits)} ${unit}, p95 ${value.p95.toFixed(digits)} ${unit}` : 'not measured';

const percent = (share: number) => `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;

function loudnessText(loudness: Report['loudness']): string {
  const rows = Object.entries(loudness ?? {}).flatMap(([track, { integrated, truePeak }]) =>
    integrated === null
      ? []
      : [`${track} ${integrated.toFixed(1)} LUFS${truePeak === null ? '' : `, peak ${truePeak.toFixed(1)} dBTP`}`],
  );
  return rows.join('; ') || 'not measured';
}

function mouthsText({ takes, pictures, driven, left, shown, process }: LipsView): string {
  const out = Object.values(shown).reduce((sum, count) => sum + count, 0);
  const share = pictures > 0 ? ` (${percent(driven / pictures)})` : '';
  const why = Object.entries(left)
    .sort(([, a], [, b]) => b - a)
    .map(([reason, seconds]) => `${reason} ${seconds.toFixed(1)} s`);
  const rest = why.length > 0 ? `, left alone: ${why.join(', ')}` : '';
  return `${driven} of ${pictures} pictures of ${takes} dubs driven${share}${rest}; ${out} pictures encoded anew; ${percent(process.cpu)} of a core, ${process.rssMiB} MiB`;
}

/** A named fact, broken between words where it gets wider than `width`. */
function fact(name: string, text: string, width: number): string[] {
  const rows: string[] = [];
  let row = name.padEnd(NAME);
  for (const word of text.split(' ')) {
    if (row.length > NAME && row.length + word.length > width) {
      rows.push(row.trimEnd());
      row = ' '.repeat(NAME);
    }
    row += `${word} `;
  }
  return [...rows, row.trimEnd()];
}
const NAME = 16;

/** For a person, at most `width` columns wide; 64 at least. */
export function reportText(report: Report, width = 110): string {
  const { lines, listening, recorded } = report;
  const room = Math.max(12, Math.floor((width - 40) / 2));
  const row = (...cells: [time: string, to: string, outcome: string, fit: string, heard: string, said: string]) => {
    const [time, to, outcome, fit, heard, said] = cells;
    return [time.padEnd(7), cut(to, 5), cut(outcome, 8), fit.padEnd(12), cut(heard, room), cut(said, room)].join(' ');
  };
  const facts: Readonly<Record<string, string>> = {
    lines: `${lines.dubbed} dubbed (${lines.trimmed} of them shortened), ${lines.late} late, ${lines.captionOnly} caption only`,
    speed: `${show(lines.speed, '×')}${lines.speed ? `, at most ${lines.speed.max.toFixed(2)} ×` : ''}${lines.withinSpeed === null ? '' : `; ${percent(lines.withinSpeed)} whole and within 0.9–1.2 ×`}`,
    'to make it fit':
      Object.entries(lines.rungShares)
        .sort(([, a], [, b]) => b - a)
        .map(([rung, share]) => `${rung} ${percent(share)}`)
        .join(', ') || 'not measured',
    'starts off by': show(lines.startError, 's'),
    loudness: loudnessText(report.loudness),
    ...(report.lips && { mouths: mouthsText(report.lips) }),
    listened: `${listening.heard} of ${listening.scheduled} dubs heard where they were scheduled; onset ${show(listening.offsetMs, 'ms', 0)}`,
    'ear-voice span': `${show(report.earVoiceSpan, 's')} (the programme is shown ${report.delay.toFixed(1)} s late)`,
    'dub in place': `${show(report.after.placed, 's')} after the words; ${show(report.slack, 's')} before it was due`,
    'picture to dub': report.avOffsetMs === null ? 'not measured' : `${report.avOffsetMs.toFixed(1)} ms apart`,
    recorded: `${recorded.file}: ${recorded.seconds.toFixed(1)} s, ${recorded.pictures} pictures, ${recorded.packetsLost} packets lost`,
  };
  return [
    row('time', 'to', 'outcome', ' shift speed', 'heard', 'said'),
    ...report.transcript.map((line) => {
      const fit =
        line.dub && line.speed
          ? `${((line.dub.start - line.start) / 1e6).toFixed(2).padStart(6)} ${line.speed.toFixed(2)}×`
          : '';
      return row(clock(line.start), line.language, line.outcome, fit, line.source, line.text);
    }),
    '',
    ...Object.entries(facts).flatMap(([name, text]) => fact(name, text, width)),
  ].join('\n');
}
