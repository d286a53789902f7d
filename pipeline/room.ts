import type { Clock } from '../media/clock.ts';
import type { Stretcher } from '../media/stretch.ts';
import { stretchedLength } from '../media/stretch.ts';
import { SLOWEST, type Slowing, type TimeMap, timeMap } from '../media/time-map.ts';
import {
  type Interval,
  type MediaTime,
  type SampleRate,
  type Span,
  between,
  earliest,
  later,
  ms,
  seconds,
} from '../media/time.ts';
import type { Hypothesis, Language, UtteranceId } from './domain.ts';
import { FITTING, type Fitting } from './fit.ts';
import { type About, type Fitted, type SpokenLine, fitter } from './fitter.ts';
import { Pauses } from './pauses.ts';

/**
 * Room for lines that do not fit: the programme itself runs slower where one is said.
 *
 * This needs the whole programme to be known, and so is for recordings. Every line is fitted again, by the same fitter
 * and the same rules, in the time of a programme that is slower in places; pauses are slower along with it.
 */

/** What was spoken in one language. */
export interface Voiced {
  readonly language: Language;
  /** In order; asked for as often as needed. */
  readonly lines: () => AsyncIterable<SpokenLine>;
}

export interface RoomOptions {
  readonly voices: readonly Voiced[];
  /** What was heard of each speech segment in the end, in order. */
  readonly heard: readonly Hypothesis[];
  readonly rules?: Partial<Fitting> | undefined;
  /** What clips take over from their sources; in the programme's time. */
  readonly about?: (utterance: UtteranceId) => About | undefined;
  /** How much slower the programme may run, {@link SLOWEST} unless given. Voices keep to `rules` all the same. */
  readonly most?: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export const lineKey = ({ language, utterance }: { readonly language: string; readonly utterance: string }) =>
  `${language} ${utterance}`;

/** How often lines are tried: the first estimate is nearly always right, and what it misses goes up by `STEP`. */
const ROUNDS = 6;
const STEP = 0.04;
/** More than is missing: places come in whole milliseconds, and lengths in whole samples. */
const SPARE = ms(3);

/**
 * Slows the programme where a line of any language would lose words, as little as that takes. What the most does
 * not save is left to the caption, and where it saves no word, nothing is slowed.
 */
export async function roomFor(options: RoomOptions): Promise<TimeMap> {
  const rules = { ...FITTING, ...options.rules };
  const { most = SLOWEST } = options;
  const quiet = new Quiet(options.heard);
  const asked = new Map<string, Slowing>();
  let map = timeMap([], most);
  const before = await cutIn(map, options);
  let cut = before;
  for (let round = 0; round < ROUNDS && cut.size > 0; round += 1) {
    let more = false;
    for (const [key, { spoken, shifted }] of cut) {
      const { line, natural } = spoken;
      const had = asked.get(key)?.factor ?? 1;
      const pauseEnd = quiet.after(line.end, rules.borrow);
      const wanted = slowingFor(line, natural.length, { pauseEnd, shifted }, rules);
      const factor = Math.min(most, Math.max(wanted, had + STEP));
      if (factor <= had) continue;
      asked.set(key, { start: line.start, end: pauseEnd, factor });
      more = true;
    }
    if (!more) break;
    map = timeMap([...asked.values()], most);
    cut = await cutIn(map, options);
  }
  for (const [key, { words }] of cut) if (words >= (before.get(key)?.words ?? 0)) asked.delete(key);
  return timeMap([...asked.values()], most);
}

/**
 * How much slower the programme must run over a line and the pause behind it for all of the line to be heard at the
 * fastest speed; more than may be where that is not enough.
 *
 * @param shifted how late the line starts because the one before still speaks, in the output
 */
export function slowingFor(
  line: Interval,
  natural: Span,
  { pauseEnd, shifted }: { readonly pauseEnd: MediaTime; readonly shifted: Span },
  { fastest, borrow }: Pick<Fitting, 'fastest' | 'borrow'> = FITTING,
): number {
  const need = natural / fastest + shifted + SPARE;
  const slot = Math.max(1, between(line.start, line.end));
  const pause = Math.max(0, between(line.end, pauseEnd));
  const factor = need / (slot + pause);
  // No more of a slower pause may be used than of any other.
  return Math.max(1, pause * factor > borrow ? (need - borrow) / slot : factor);
}

interface Cut {
  readonly spoken: SpokenLine;
  readonly words: number;
  readonly shifted: Span;
}

/** What would be cut if the programme ran as `map` says. */
async function cutIn(map: TimeMap, options: RoomOptions): Promise<Map<string, Cut>> {
  const cut = new Map<string, Cut>();
  for (const { lines } of options.voices) {
    // Lengths are looked at, not sounds.
    const about = (utterance: UtteranceId) => silently(options.about?.(utterance));
    for await (const { spoken, clip } of fittedIn(map, lines(), { ...options, ...MEASURING, about })) {
      const words = clip ? clip.fit.trimmedWords : spoken.natural.count;
      if (words === 0 || spoken.natural.length <= 0) continue;
      const shifted = (clip?.fit.shifted ?? 0) as Span;
      cut.set(lineKey(spoken.line), { spoken: { ...spoken, pcm: NOTHING }, words, shifted });
    }
  }
  return cut;
}
const NOTHING = new Float32Array(0);
const silently = (about: About | undefined): About | undefined => about && { ...about, finish: () => {} };

/** For fitting that is only looked at: silence of the right length. */
export const MEASURING: { readonly stretcher: Stretcher; readonly resample: Resample } = {
  stretcher: {
    name: 'measure',
    stretch: (pcm, _rate, speed) => Promise.resolve(new Float32Array(stretchedLength(pcm.length, speed))),
  },
  resample: (pcm, from) => new Float32Array(Math.round((pcm.length * 48_000) / from)),
};
type Resample = (pcm: Float32Array, from: SampleRate) => Float32Array;

/** A line fitted anew: its clip is in the output's time, as `fitted.line` is; `spoken` is as it was. */
export interface Refitted extends Fitted {
  readonly spoken: SpokenLine;
}

/** Fits lines into a programme that runs as `map` says. */
export async function* fittedIn(
  map: TimeMap,
  lines: AsyncIterable<SpokenLine>,
  options: Omit<RoomOptions, 'voices'> & { readonly stretcher: Stretcher; readonly resample?: Resample },
): AsyncGenerator<Refitted, void, void> {
  const { stretcher, resample, rules, about, clock, signal } = options;
  const pauses = new Pauses();
  const said = telling(pauses, map, options.heard);
  const under: SpokenLine[] = [];
  const mapped = async function* (): AsyncGenerator<SpokenLine, void, void> {
    for await (const spoken of lines) {
      said(spoken.line.end);
      under.push({ ...spoken, pcm: NOTHING });
      yield spokenIn(map, spoken);
    }
  };
  const inOutput = (utterance: UtteranceId) => aboutIn(map, about?.(utterance));
  const part = fitter({ stretcher, pauses, about: inOutput, ...(rules && { rules }), ...(resample && { resample }) });
  for await (const fitted of part.run(mapped(), { clock, signal })) {
    // Lines come out in the order in which they went in.
    while (under[0] && under[0].line.utterance !== fitted.line.utterance) under.shift();
    const spoken = under.shift();
    if (spoken) yield { ...fitted, spoken };
  }
}

/** The line where it is in the output. */
const spokenIn = (map: TimeMap, spoken: SpokenLine): SpokenLine => ({ ...spoken, line: map.interval(spoken.line) });

/** The same, for a clip in the output: how it was said stays in the programme's time. */
const aboutIn = (map: TimeMap, about: About | undefined): About | undefined =>
  about && {
    ...about,
    words: about.words.map((word) => map.interval(word)),
    finish: ({ line, phrases, ...placed }) => {
      const back = ({ start, end }: Interval): Interval => ({ start: map.back(start), end: map.back(end) });
      about.finish({
        ...placed,
        line: { ...line, ...back(line) },
        phrases: phrases.map((phrase) => ({ ...phrase, source: back(phrase.source) })),
      });
    },
  };

/** How far behind a line the fitter may want to know who speaks. */
const AHEAD = seconds(10);

/** Tells `pauses` who speaks in the output, as far as lines that end at a position need it: it remembers little. */
function telling(pauses: Pauses, map: TimeMap, heard: readonly Hypothesis[]): (end: MediaTime) => void {
  let next = 0;
  // Everything is known, so that nothing has to be waited for.
  pauses.settle(Number.MAX_SAFE_INTEGER as MediaTime);
  pauses.end();
  return (end) => {
    for (let each = heard[next]; each && each.start < later(end, AHEAD); each = heard[next]) {
      const stable = each.stable.map((word) => map.interval(word));
      const segment = { ...map.interval(each), stable, draft: '', final: true };
      pauses.speech({ ...segment, last: true });
      pauses.heard(segment);
      next += 1;
    }
  };
}

/** Where in the programme nobody speaks. */
class Quiet {
  readonly #words: readonly Interval[];

  constructor(heard: readonly Hypothesis[]) {
    this.#words = heard.flatMap(({ stable }) => stable).sort((a, b) => a.start - b.start);
  }

  /** Until when nobody speaks after `t`, looking no further than `reach`. */
  after(t: MediaTime, reach: Span): MediaTime {
    const words = this.#words;
    let [low, high] = [0, words.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((words[middle] as Interval).start < t) low = middle + 1;
      else high = middle;
    }
    const limit = later(t, reach);
    // Somebody may have begun before `t`, and not be through with the word.
    const talks = words.slice(Math.max(0, low - 8), low).some(({ end }) => end > t);
    return talks ? t : earliest(limit, words[low]?.start ?? limit);
  }
}
