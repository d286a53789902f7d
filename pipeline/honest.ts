import { type AudioChunk, endOf, isAudio } from '../media/audio.ts';
import { type Interval, type MediaTime, between, earlier, later, ms, samples, seconds } from '../media/time.ts';
import type { Patch, Planes, VideoFrame } from '../media/video-frame.ts';
import type { Word } from './domain.ts';
import { Fault, type FaultKind } from './fault.ts';
import type { Stage, StageKind, StageMap } from './stage.ts';

type In<K extends StageKind> = StageMap[K]['in'];
type Out<K extends StageKind> = StageMap[K]['out'];

/** What an engine was given and what it said, as far as it matters for whether that can be true. */
interface Heard<K extends StageKind> {
  /** The stretch of programme it was given so far. */
  readonly whole: Interval;
  /** The items it was given last, newest last. */
  readonly items: readonly In<K>[];
  readonly before: Out<K> | undefined;
  /** How much of the present line has been spoken, for a synthesizer. */
  readonly spoken: { length: number; peak: number };
}
/** Says what is wrong, or nothing. */
type Check<K extends StageKind> = (out: Out<K>, heard: Heard<K>) => string | undefined;

/** Louder than this is no sound but a mistake; full scale is 1. */
const LOUDEST = 8;
/** Quieter than this all through is no speech. */
const AUDIBLE = 1e-4;
/** Nobody says more words in a second than this, or characters (a language may write no spaces). */
const WORDS_PER_SECOND = 12;
const CHARACTERS_PER_SECOND = 60;
/** Positions are rounded, and word times are estimates. */
const ROUNDING = ms(2);
const ESTIMATE = seconds(1);
/** Items an answer may be about. */
const REMEMBERED = 64;

const peakOf = (pcm: Float32Array): number => {
  let peak = 0;
  // NaN compares as false, so it is asked for by name.
  for (const x of pcm) if (!(Math.abs(x) <= peak)) peak = Number.isNaN(x) ? Number.POSITIVE_INFINITY : Math.abs(x);
  return peak;
};
const loud = (pcm: Float32Array): string | undefined =>
  peakOf(pcm) > LOUDEST ? 'it gave samples that are no sound' : undefined;
const inside = (part: Interval, whole: Interval, slack = ROUNDING) =>
  part.start >= earlier(whole.start, slack) && part.end <= later(whole.end, slack) && part.end >= part.start;
const placed = (part: Interval, { whole }: { whole: Interval }, slack = ROUNDING): string | undefined =>
  inside(part, whole, slack) ? undefined : 'it spoke of a time that it was not given';
const audio = (chunk: AudioChunk, heard: { whole: Interval }) =>
  loud(chunk.pcm) ?? placed({ start: chunk.start, end: endOf(chunk) }, heard);

function words(list: readonly Word[], whole: Interval): string | undefined {
  let start = Number.NEGATIVE_INFINITY as MediaTime;
  for (const word of list) {
    if (!inside(word, whole, ESTIMATE)) return `it put '${word.text}' where nothing was heard`;
    if (word.start < start) return 'its words are not in order';
    start = word.start;
  }
  return undefined;
}
const tooMuch = (text: string, span: number) => {
  const length = Math.max(1, span / seconds(1));
  return text.length > CHARACTERS_PER_SECOND * length + 40 || text.split(/\s+/).length > WORDS_PER_SECOND * length + 8;
};

/** Patches that would not lie on the picture. */
const outside = (patches: readonly Patch[], frame: Planes): string | undefined =>
  patches.every(
    ({ left, top, width, height, y, u, v }) =>
      [left, top, width, height].every((edge) => Number.isInteger(edge) && edge >= 0 && edge % 2 === 0) &&
      left + width <= frame.width &&
      top + height <= frame.height &&
      y.length === width * height &&
      u.length * 4 === y.length &&
      v.length * 4 === y.length,
  )
    ? undefined
    : 'it gave a patch that does not lie on the picture';

const checks: { readonly [K in StageKind]: Check<K> } = {
  enhancer: audio,
  separator: (out, heard) =>
    out.speech.length !== out.rest.length
      ? 'its two stems are not of one length'
      : (loud(out.rest) ?? audio({ ...out, pcm: out.speech }, heard)),
  vad: (out, heard) =>
    out.probability >= 0 && out.probability <= 1 ? placed(out, heard) : `it gave a probability of ${out.probability}`,
  diarizer: (out, heard) => (out.speaker === '' ? 'it named nobody' : placed(out, heard)),
  recognizer: (out, { items, whole, before }) => {
    const segment = items.filter((item) => item.segment === out.segment);
    const first = segment[0];
    if (!first) return `it spoke of segment ${out.segment}, which it was not given`;
    if (before?.segment === out.segment) {
      const kept = before.stable.every(
        ({ text, start }, n) => out.stable[n]?.text === text && out.stable[n]?.start === start,
      );
      if (!kept) return 'it took back words that were stable';
    }
    const text = [...out.stable.map((word) => word.text), out.draft].join(' ');
    const start = out.stable[0]?.start ?? first.start;
    if (tooMuch(text, Math.max(between(first.start, whole.end), between(start, whole.end)))) {
      return 'it heard more words than anybody can say';
    }
    return words(out.stable, whole);
  },
  aligner: (out, { items, whole }) =>
    items.some(({ utterance }) => utterance === out.utterance)
      ? (words(out.words, whole) ?? words(out.phones, whole))
      : 'it aligned what it was not given',
  translator: (out, { items }) => {
    const said = items.find(({ id }) => id === out.utterance);
    if (!said) return 'it translated what nobody said';
    if (out.text.trim() === '') return 'it translated something into nothing';
    return out.text.length > 8 * said.text.length + 80
      ? 'its translation is many times as long as what was said'
      : undefined;
  },
  synthesizer: ({ line, chunk, last }, { items, spoken }) => {
    if (!items.some(({ utterance }) => utterance === line.utterance)) return 'it spoke a line that nobody asked for';
    if (chunk.start === 0) spoken.length = spoken.peak = 0;
    spoken.length += samples(chunk.pcm.length, chunk.rate);
    spoken.peak = Math.max(spoken.peak, peakOf(chunk.pcm));
    if (spoken.peak > LOUDEST) return 'it gave samples that are no sound';
    const longest = seconds(10) + line.text.length * ms(400);
    if (spoken.length > longest)
      return `it does not stop speaking: ${spoken.length / 1e6} s for ${line.text.length} characters`;
    return last && spoken.peak < AUDIBLE ? 'it said nothing' : undefined;
  },
  faceTracker: ({ start, faces }, heard) =>
    placed({ start, end: start }, heard) ??
    (faces.some(
      ({ landmarks, opening }) => landmarks.length !== 136 || !landmarks.every(Number.isFinite) || !(opening >= 0),
    )
      ? 'it saw a face without a shape'
      : undefined),
  activeSpeaker: (out, { items }) => {
    const scene = items.find(({ start, end }) => start === out.start && end === out.end);
    if (!scene) return 'it spoke of a scene that it was not given';
    return out.faces.every(
      ({ id, scores }) => scene.faces.some((face) => face.id === id) && scores.every(Number.isFinite),
    )
      ? undefined
      : 'its scores are no numbers, or about nobody';
  },
  lipDriver: ({ start, face, patches }, { items }) => {
    const shot = items.find((item) => item.start === start && item.face.id === face);
    return shot ? outside(patches, shot.frame) : 'it drove a picture that it was not given';
  },
  restorer: ({ start, face, patches }, { items }) => {
    const rough = items.find((item) => item.start === start && item.face.id === face);
    return rough ? outside(patches, rough.frame) : 'it restored a picture that it was not given';
  },
  interpolator: (out, { items }) => {
    const pair = items.findLast(({ start, end }) => out.start >= start && out.start <= end);
    if (!pair) return 'it made a picture for a time that it was not given';
    return out.width === pair.before.width &&
      out.height === pair.before.height &&
      out.y.length === out.width * out.height
      ? undefined
      : 'its picture has another size';
  },
};

/** One lie costs what it is about where there are items, else the run. */
const kindOf: Record<StageKind, FaultKind> = {
  enhancer: 'unavailable',
  separator: 'unavailable',
  vad: 'unavailable',
  diarizer: 'unavailable',
  recognizer: 'unavailable',
  aligner: 'rejected',
  translator: 'rejected',
  synthesizer: 'rejected',
  faceTracker: 'unavailable',
  activeSpeaker: 'rejected',
  lipDriver: 'rejected',
  restorer: 'rejected',
  interpolator: 'rejected',
};

const placeOf = (item: AudioChunk | Interval | VideoFrame): Interval => {
  if ('rate' in item) return { start: item.start, end: endOf(item) };
  return 'end' in item ? item : { start: item.start, end: item.start };
};

/**
 * The same stage, not believed blindly: an answer that cannot be true (samples that are no numbers, times it was not
 * given, words that nobody can say so fast, stable words taken back, a line nobody asked for) is a fault and goes no
 * further. What a lie costs is what the stage's failure costs.
 */
export function honest<K extends StageKind>(stage: Stage<K>): Stage<K> {
  const check = checks[stage.kind] as Check<K>;
  return {
    ...stage,
    async *run(input, scope) {
      let whole: Interval | undefined;
      let before: Out<K> | undefined;
      const items: In<K>[] = [];
      const spoken = { length: 0, peak: 0 };
      const watched = async function* () {
        for await (const item of input) {
          const { start, end } = placeOf(item);
          whole = whole
            ? { start: Math.min(whole.start, start) as MediaTime, end: Math.max(whole.end, end) as MediaTime }
            : { start, end };
          items.push(light(item));
          if (items.length > REMEMBERED) forget(items);
          yield item;
        }
      };
      for await (const out of stage.run(watched(), scope)) {
        const wrong = whole ? check(out, { whole, items, before, spoken }) : 'it answered before it was asked';
        if (wrong) throw new Fault(stage.kind, kindOf[stage.kind], `${stage.engine} is not to be believed: ${wrong}`);
        before = out;
        yield out;
      }
    },
  };
}
const EMPTY = new Float32Array(0);
const NO_PIXELS = { y: new Uint8Array(0), u: new Uint8Array(0), v: new Uint8Array(0) };

/** Only what an answer is checked against: never samples, which are borrowed, nor pixels, which are many. */
function light<T extends object>(item: T): T {
  if (isAudio(item)) return { ...item, pcm: EMPTY };
  const pictures = Object.entries(item).flatMap(([key, value]: [string, unknown]) =>
    typeof value === 'object' && value !== null && 'colour' in value
      ? [[key, { ...value, ...NO_PIXELS }] as const]
      : [],
  );
  return { ...item, ...('colour' in item ? NO_PIXELS : {}), ...Object.fromEntries(pictures) };
}

/** The oldest goes; of a segment's chunks the first stays, which says where it began. */
function forget(items: object[]): void {
  const [first, second] = items;
  const same = first && second && 'segment' in first && 'segment' in second && first.segment === second.segment;
  items.splice(same ? 1 : 0, 1);
}
