import { endOf } from '../../media/audio.ts';
import { type Interval, type MediaTime, type Span, at, later, ms, overlaps, samples } from '../../media/time.ts';
import type { Activity, Hypothesis, Language, SpeakerId, Speech, Turn, Word } from '../../pipeline/domain.ts';
import { Fault, type FaultKind } from '../../pipeline/fault.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { until } from '../../pipeline/until.ts';

/** What is said, by whom and when, in milliseconds of the programme. */
export interface Said {
  readonly from: number;
  readonly to: number;
  readonly text: string;
  readonly speaker?: string;
}
export const intervalOf = ({ from, to }: { from: number; to: number }): Interval => ({
  start: at(from * 1_000),
  end: at(to * 1_000),
});
/** The words of a sentence, spread evenly over its interval. */
export function wordsOf(said: Said): Word[] {
  const texts = said.text.split(' ');
  const length = ((said.to - said.from) * 1_000) / texts.length;
  const edge = (n: number) => at(said.from * 1_000 + n * length);
  return texts.map((text, n) => ({ start: edge(n), end: edge(n + 1), text }));
}

/** Hears speech where the script has some; one activity per chunk. */
export const vadOf = (script: readonly Said[]): Stage<'vad'> => ({
  kind: 'vad',
  engine: 'scripted',
  caps: { rate: 16_000, lookahead: ms(0) },
  async *run(input, { signal }) {
    for await (const chunk of until(input, signal)) {
      const interval = { start: chunk.start, end: endOf(chunk) };
      const speech = script.some((said) => overlaps(intervalOf(said), interval));
      yield { ...interval, probability: speech ? 1 : 0 } satisfies Activity;
    }
  },
});

/** Makes everything `gain` times as loud. */
export const enhancerBy = (gain: number): Stage<'enhancer'> => ({
  kind: 'enhancer',
  engine: 'scripted',
  caps: { rate: 16_000, lookahead: ms(0) },
  async *run(input, { signal }) {
    for await (const chunk of until(input, signal)) yield { ...chunk, pcm: chunk.pcm.map((x) => x * gain) };
  },
});

/** Takes half of everything for speech. */
export const separatorAt = (rate: 16_000 | 48_000 = 16_000, lookahead: Span = ms(0)): Stage<'separator'> => ({
  kind: 'separator',
  engine: 'scripted',
  caps: { rate, lookahead },
  async *run(input, { signal }) {
    for await (const { start, pcm } of until(input, signal)) {
      yield { start, rate, speech: pcm.map((x) => x / 2), rest: pcm.map((x) => x / 2) };
    }
  },
});

/** Finds the script's words where the script has them, and one phone for each. */
export const alignerOf = (script: readonly Said[]): Stage<'aligner'> => ({
  kind: 'aligner',
  engine: 'scripted',
  caps: { rate: 16_000, lookahead: ms(0), languages: 'any', phones: 'ipa' },
  async *run(input, { signal }) {
    const all = script.flatMap(wordsOf);
    let text = '';
    for await (const spoken of until(input, signal)) {
      text = `${text} ${spoken.text}`;
      if (!spoken.last) continue;
      const end = endOf(spoken);
      const said = text.split(/\s+/).filter(Boolean);
      const near = all.filter((word) => said.includes(word.text) && word.start < end);
      const words = near.slice(-said.length);
      const phones = words.map(({ start, end: stop, text: name }, word) => ({ start, end: stop, text: name, word }));
      yield { utterance: spoken.utterance, start: words[0]?.start ?? spoken.start, end, words, phones, final: true };
      text = '';
    }
  },
});

/** Says who the script says it is: when a segment is over, turns that tile it, cut where the speaker changes. */
export const diarizerOf = (script: readonly Said[], lookahead: Span = ms(2_000)): Stage<'diarizer'> => ({
  kind: 'diarizer',
  engine: 'scripted',
  caps: { rate: 16_000, lookahead, maxSpeakers: 8, overlap: false },
  async *run(input, { signal }) {
    let start: MediaTime | undefined;
    for await (const chunk of until(input, signal)) {
      start ??= chunk.start;
      const whole = { start, end: endOf(chunk) };
      // A turn lasts until its speaker's last word before somebody else's first.
      const turns: Turn[] = [];
      for (const said of script.filter((each) => overlaps(intervalOf(each), whole))) {
        const speaker = (said.speaker ?? 's1') as SpeakerId;
        const open = turns.at(-1);
        if (open?.speaker === speaker) continue;
        const from = open ? intervalOf(said).start : whole.start;
        if (open) turns[turns.length - 1] = { ...open, end: from };
        turns.push({ speaker, start: from, end: whole.end });
      }
      if (turns.length === 0) turns.push({ speaker: 's1' as SpeakerId, ...whole });
      // What has been said for longer than the lookahead is settled; the rest waits for more.
      if (!chunk.last) {
        if (whole.end - whole.start < lookahead) continue;
        const [first] = turns;
        if (first && turns.length > 1) turns.splice(1);
      }
      yield* turns;
      start = chunk.last ? undefined : turns.at(-1)?.end;
    }
  },
});

/** Hears the script: a word is stable once its end has been fed in, a draft while it is being said. */
export const recognizerOf = (script: readonly Said[]): Stage<'recognizer'> => ({
  kind: 'recognizer',
  engine: 'scripted',
  caps: { languages: 'any', lookahead: ms(0), rate: 16_000, drafts: true, wordTimes: true },
  async *run(input, { signal }) {
    const words = script.flatMap(wordsOf);
    let start: MediaTime | undefined;
    let told = '';
    for await (const chunk of until(input, signal)) {
      start ??= chunk.start;
      const [from, end] = [start, endOf(chunk)];
      const said = words.filter((word) => word.start >= from && word.start < end);
      const stable = said.filter((word) => word.end <= end || chunk.last);
      const draft = said
        .slice(stable.length)
        .map((word) => word.text)
        .join(' ');
      const now = `${stable.length} ${draft}`;
      if (now !== told || chunk.last) {
        yield { start: from, end, segment: chunk.segment, stable, draft, final: chunk.last } satisfies Hypothesis;
      }
      told = chunk.last ? '' : now;
      if (chunk.last) start = undefined;
    }
  },
});

/** Translates by prefixing; needs `takes` of clock time per line; fails on the lines named in `fails`. */
export const translatorTo = (
  language: Language,
  takes = ms(0),
  fails: Record<string, FaultKind> = {},
): Stage<'translator'> => ({
  kind: 'translator',
  engine: 'scripted',
  caps: { lookahead: ms(0), from: 'any', to: [language] },
  async *run(input, { clock, signal }) {
    for await (const said of until(input, signal)) {
      if (takes > 0) await clock.until(later(clock.now(), takes), signal);
      const kind = fails[said.text];
      if (kind) throw new Fault('translator', kind, `scripted failure on '${said.text}'`);
      const { start, end, speaker } = said;
      yield { utterance: said.id, start, end, speaker, language, text: `${language}:${said.text}` };
    }
  },
});

/** Speaks every line as `level` in two chunks, at 80 % of its interval, with a mark for every word. */
export const synthesizerAt = (level: number, fails: Record<string, FaultKind> = {}): Stage<'synthesizer'> => ({
  kind: 'synthesizer',
  engine: 'scripted',
  caps: { languages: 'any', lookahead: ms(0), streams: true, clonesVoice: false, marks: ['word'], voices: 1 },
  async *run(input, { signal }) {
    for await (const line of until(input, signal)) {
      const half = Math.round((line.end - line.start) * 0.4 * 0.016);
      const texts = line.text.split(' ');
      const every = samples(2 * half, 16_000) / texts.length;
      const marks = texts.map((text, n) => ({ type: 'word' as const, offset: Math.round(n * every), text }));
      const part = (n: 0 | 1): Speech => ({
        line,
        chunk: { start: at(samples(n * half, 16_000)), rate: 16_000, pcm: new Float32Array(half).fill(level) },
        marks: marks.filter(({ offset }) => (offset < samples(half, 16_000) ? n === 0 : n === 1)),
        last: n === 1,
      });
      yield part(0);
      const kind = fails[line.text];
      if (kind) throw new Fault('synthesizer', kind, `scripted failure on '${line.text}'`);
      yield part(1);
    }
  },
});
