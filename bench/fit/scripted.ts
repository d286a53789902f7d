import { type AudioChunk, endOf } from '../../media/audio.ts';
import {
  type Interval,
  type MediaTime,
  type Span,
  earlier,
  later,
  latest,
  ms,
  overlaps,
  samples,
} from '../../media/time.ts';
import { syllablesByRule } from '../../models/translate/syllables.ts';
import type { Activity, Hypothesis, Language, SpeakerId, Turn, Utterance } from '../../pipeline/domain.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { until } from '../../pipeline/until.ts';
import { randomFrom, seedOf, within } from '../random.ts';
import { sentence, wordsWith } from './lexicon.ts';
import { type Script, phrasesOf } from './script.ts';

/** Hears speech where the script has a word; one activity per chunk. */
export const scriptedVad = (script: Script): Stage<'vad'> => ({
  kind: 'vad',
  engine: 'scripted',
  caps: { rate: 16_000, lookahead: ms(0) },
  async *run(input, { signal }) {
    for await (const chunk of until(input, signal)) {
      const interval = { start: chunk.start, end: endOf(chunk) };
      const speech = script.over(interval).some(({ words }) => words.some((word) => overlaps(word, interval)));
      yield { ...interval, probability: speech ? 1 : 0 } satisfies Activity;
    }
  },
});

/** Says who the script says it is: turns that tile each segment, cut where somebody else begins. */
export const scriptedDiarizer = (script: Script, lookahead: Span = ms(500)): Stage<'diarizer'> => ({
  kind: 'diarizer',
  engine: 'scripted',
  caps: { rate: 16_000, lookahead, maxSpeakers: 8, overlap: false },
  async *run(input, { signal }) {
    let start: MediaTime | undefined;
    let speaker = 's1' as SpeakerId;
    for await (const chunk of until(input, signal)) {
      start ??= chunk.start;
      const end = endOf(chunk);
      // What is said later than this may still be cut by somebody who begins.
      const known = chunk.last ? end : latest(start, earlier(end, lookahead));
      if (known > start) {
        yield* turnsOf(script, { start, end: known }, speaker);
        speaker = speakerAt(script, known, speaker);
        start = known;
      }
      if (chunk.last) start = undefined;
    }
  },
});

/** Whoever began last has the floor. */
function speakerAt(script: Script, t: MediaTime, before: SpeakerId): SpeakerId {
  const begun = script.over({ start: earlier(t, ms(1_500)), end: t });
  return (begun.at(-1)?.speaker as SpeakerId | undefined) ?? before;
}
function turnsOf(script: Script, whole: Interval, before: SpeakerId): Turn[] {
  const turns: Turn[] = [];
  let open: { start: MediaTime; speaker: SpeakerId } = { start: whole.start, speaker: before };
  for (const saying of script.over(whole)) {
    const speaker = saying.speaker as SpeakerId;
    if (speaker === open.speaker) continue;
    const from = latest(saying.start, whole.start);
    if (from > open.start) turns.push({ start: open.start, end: from, speaker: open.speaker });
    open = { start: from, speaker };
  }
  if (whole.end > open.start) turns.push({ start: open.start, end: whole.end, speaker: open.speaker });
  return turns;
}

/** Hears the script: a word is certain once so much more has been heard after its end, or its segment is over. */
export const scriptedRecognizer = (script: Script, lag: Span = ms(300)): Stage<'recognizer'> => ({
  kind: 'recognizer',
  engine: 'scripted',
  caps: { languages: 'any', lookahead: lag, rate: 16_000, drafts: true, wordTimes: true },
  async *run(input, { signal }) {
    let start: MediaTime | undefined;
    let told = -1;
    for await (const chunk of until(input, signal)) {
      start ??= chunk.start;
      const [from, end] = [start, endOf(chunk)];
      const words = script
        .over({ start: from, end })
        .flatMap((saying) => saying.words)
        .filter((word) => word.start >= from && word.start < end)
        .toSorted((a, b) => a.start - b.start);
      const unsure = chunk.last ? -1 : words.findIndex((word) => later(word.end, lag) > end);
      const stable = unsure < 0 ? words : words.slice(0, unsure);
      const draft = words
        .slice(stable.length)
        .map(({ text }) => text)
        .join(' ');
      if (words.length + stable.length !== told || chunk.last) {
        yield { start: from, end, segment: chunk.segment, stable, draft, final: chunk.last } satisfies Hypothesis;
      }
      told = words.length + stable.length;
      if (!chunk.last) continue;
      start = undefined;
      told = -1;
    }
  },
});

export interface ScriptedTranslation {
  readonly script: Script;
  readonly from: Language;
  readonly to: Language;
  /** Clock time for each line, least and most; none unless given. */
  readonly takes?: readonly [Span, Span];
  /** Heeds an utterance's budget, and makes a shorter line when it is asked to. */
  readonly obliging?: boolean;
}

/** A pause between words that a translator hears as a comma. */
const COMMA = ms(150);

/** Translates into as many syllables as the script wants, phrase by phrase. The same utterance always gets the same line. */
export const scriptedTranslator = ({
  script,
  from,
  to,
  takes,
  obliging = false,
}: ScriptedTranslation): Stage<'translator'> => ({
  kind: 'translator',
  engine: 'scripted',
  caps: { lookahead: ms(0), from: [from], to: [to], ...(obliging && { budgets: true, shortens: true }) },
  async *run(input, { clock, signal }) {
    for await (const said of until(input, signal)) {
      const random = randomFrom(seedOf(`${said.text} ${said.start}`));
      if (takes) await clock.until(later(clock.now(), Math.round(within(random, ...takes)) as Span), signal);
      const { id, start, end, speaker } = said;
      yield { utterance: id, start, end, speaker, language: to, text: translation(script, said, from, to, obliging) };
    }
  },
});

function translation(script: Script, said: Utterance, from: Language, to: Language, obliging: boolean): string {
  const saying = script.over(said).find(({ speaker }) => speaker === said.speaker) ?? script.over(said)[0];
  // A translation that is given is of the whole saying; a piece of it gets its share.
  if (saying?.translation !== undefined) return shareOf(saying.translation, saying, said);
  const random = randomFrom(seedOf(said.text));
  const phrases = phrasesOf(said.words, COMMA).map((words) =>
    syllablesByRule(words.map(({ text }) => text).join(' '), from),
  );
  const wanted = phrases.reduce((sum, count) => sum + count, 0) * (saying?.ratio ?? 1);
  const allowed = !obliging
    ? wanted
    : Math.min(
        wanted,
        said.tooLong ? (said.budget?.aim ?? said.tooLong.syllables * 0.7) : (said.budget?.most ?? wanted),
      );
  const ratio = (saying?.ratio ?? 1) * Math.max(0.1, wanted > 0 ? allowed / wanted : 1);
  return sentence(phrases.map((count) => wordsWith(count * ratio, to, random)));
}

/** The words of a translation that fall to a part of what is translated, by time. */
function shareOf(text: string, whole: Interval, part: Interval): string {
  const words = text.split(/\s+/).filter(Boolean);
  const place = (t: MediaTime) =>
    Math.round(Math.min(1, Math.max(0, (t - whole.start) / Math.max(1, whole.end - whole.start))) * words.length);
  const own = words.slice(place(part.start), Math.max(place(part.start) + 1, place(part.end)));
  return own.join(' ');
}

/** Fundamental frequency of the script's speakers, Hz: men, women, a child. */
const PITCHES: readonly number[] = [115, 205, 140, 235, 100, 290];
const LOUDEST = 0.25;

/** What a script would sound like on a machine that knows nothing but syllables: pulses at the speaker's pitch, word by word. */
export function soundOf(
  script: Script,
  chunk: { readonly start: MediaTime; readonly count: number; readonly rate: 48_000 },
): AudioChunk {
  const { start, count, rate } = chunk;
  const pcm = new Float32Array(count);
  const end = later(start, samples(count, rate));
  for (const { speaker, words } of script.over({ start, end })) {
    const pitch = PITCHES[(Number(speaker.replace(/\D/g, '')) - 1) % PITCHES.length] ?? 150;
    for (const word of words) {
      if (!overlaps(word, { start, end })) continue;
      const first = Math.max(0, Math.ceil(((word.start - start) * rate) / 1e6));
      const last = Math.min(count, Math.floor(((word.end - start) * rate) / 1e6));
      for (let i = first; i < last; i += 1) {
        const t = start / 1e6 + i / rate;
        const share = (t * 1e6 - word.start) / (word.end - word.start);
        const phase = (t * pitch) % 1;
        // A saw whose corners are rounded by the envelope of the word; vowels alone have this much tone.
        pcm[i] = (pcm[i] ?? 0) + LOUDEST * Math.sin(Math.PI * share) * (Math.exp(-6 * phase) - 0.1663);
      }
    }
  }
  return { start, rate, pcm };
}
