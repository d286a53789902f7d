import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { at, seconds } from '../../media/time.ts';
import { captionFigures } from '../../pipeline/caption-figures.ts';
import { LineCaptions } from '../../pipeline/captions.ts';
import { type LaidOut, layout, lengthOf, placeOf, readingOf, seamless } from '../../pipeline/cue-layout.ts';
import type { Clip, Cue, Hypothesis, Language, Line, SpeakerId, UtteranceId, Word } from '../../pipeline/domain.ts';
import { SourceCaptions } from '../../pipeline/captions.ts';
import { Utterances } from '../../pipeline/utterances.ts';
import { missing, recording } from '../fakes/recordings.ts';

const S = 1e6;
const untimed = (text: string, language: string, end = 5) =>
  layout({ text, words: [], start: at(0), end: at(end * S) }, language as Language);

test.for([
  ['en', 'Short enough.', [['Short enough.']]],
  [
    'en',
    'Many birds return to the same place every year, and nobody quite knows how.',
    [['Many birds return to the same place', 'every year, and nobody quite knows how.']],
  ],
  [
    'en',
    'unless to be rather cold hearted and rather selfish is to be ill disposed',
    [['unless to be rather cold hearted', 'and rather selfish is to be ill disposed']],
  ],
  [
    'en',
    'and mister john dashwood had then leisure to consider how much there might be prudently in his power to do for them',
    [
      ['and mister john dashwood', 'had then leisure to consider'],
      ['how much there might be prudently', 'in his power to do for them'],
    ],
  ],
  [
    'es',
    'Hoy quiero hablar de las aves que cruzan el océano sin descansar, y de lo que sabemos sobre cómo encuentran el camino de vuelta.',
    [
      ['Hoy quiero hablar de las aves', 'que cruzan el océano sin descansar,'],
      ['y de lo que sabemos sobre cómo encuentran', 'el camino de vuelta.'],
    ],
  ],
  [
    'de',
    'Der Bundesverfassungsgerichtspräsident erklärte, dass die Rechtsschutzversicherungsgesellschaften zahlen müssen.',
    [
      ['Der Bundesverfassungsgerichtspräsident', 'erklärte, dass die'],
      ['Rechtsschutzversicherungsgesellschaften', 'zahlen müssen.'],
    ],
  ],
  [
    'zh',
    '欢迎大家来体验达摩院推出的语音识别模型，它可以在很短的时间内把语音转换成文字，并且支持很多种语言。',
    [
      ['欢迎大家来体验达摩院', '推出的语音识别模型，'],
      ['它可以在很短的时间内把语音转换', '成文字，并且支持很多种语言。'],
    ],
  ],
  [
    'ja',
    '今日は海を渡る鳥たちがどのようにして帰り道を見つけるのかについて、皆さんにお話ししたいと思います。',
    [
      ['今日は海を渡る鳥たちがどの', 'ようにして帰り道を見つける'],
      ['のかについて、皆さんに', 'お話ししたいと思います。'],
    ],
  ],
  [
    'ar',
    'تعود طيور كثيرة إلى المكان نفسه كل عام، ولا أحد يعرف تمامًا كيف تجد طريقها عبر البحر.',
    [['تعود طيور كثيرة إلى المكان نفسه كل عام،'], ['ولا أحد يعرف تمامًا كيف', 'تجد طريقها عبر البحر.']],
  ],
] as const)('%s: “%s” is broken where sense allows', ([language, text, expected]) => {
  expect(untimed(text, language).map(({ lines }) => lines)).toEqual(expected);
});

test('a word longer than a line is cut where its letters end, and nothing of it is lost', () => {
  const text = 'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft';
  const lines = untimed(`${text} 👩‍👩‍👧‍👦`, 'de').flatMap((cue) => cue.lines);
  expect(lines.join('').replace(' ', '')).toBe(`${text}👩‍👩‍👧‍👦`);
  expect(Math.max(...lines.map(lengthOf))).toBeLessThanOrEqual(42);
});

test('a line ends in no article or preposition where another break will do', () => {
  const ends = /\s(the|a|of|to|in|his|mister|at|is)$/;
  const texts = readFileSync(new URL('../fixtures/captions/english.txt', import.meta.url), 'utf8')
    .trim()
    .split('\n');
  const broken = texts.flatMap((text) => untimed(text, 'en').flatMap(({ lines }) => lines.slice(0, -1)));
  expect(broken.length).toBeGreaterThan(10);
  expect(broken.filter((line) => ends.test(line))).toEqual([]);
});

const LANGUAGES = ['en', 'es', 'de', 'zh', 'ja', 'ko', 'ar', 'th', 'eo', 'x-none'] as const;
const chunk = fc.oneof(
  fc.constantFrom('the', 'house', 'und', 'Rechtsschutzversicherungsgesellschaften', '，', '欢迎大家', 'مرحبا', 'ที่', '42', '👩‍👩‍👧‍👦', '(a', 'b)', '—'),
  fc.string({ unit: 'grapheme', maxLength: 60 }),
); // prettier-ignore
const anyText = fc.array(chunk, { maxLength: 40 }).map((chunks) => chunks.join(' '));

test('whatever the text and its language, all of it is in lines that fit, and captions follow each other in time', () => {
  fc.assert(
    fc.property(anyText, fc.constantFrom(...LANGUAGES), fc.nat(9_000_000), (text, language, length) => {
      const cues = layout({ text, words: [], start: at(1_000), end: at(1_000 + length) }, language as Language);
      const { width, rows } = readingOf(language as Language);
      const squeezed = (some: string) => some.replaceAll(/\s+/gu, '');
      expect(squeezed(cues.flatMap(({ lines }) => lines).join(''))).toBe(squeezed(text));
      for (const [n, cue] of cues.entries()) {
        expect(cue.lines.length).toBeLessThanOrEqual(rows);
        for (const line of cue.lines) expect(lengthOf(line)).toBeLessThanOrEqual(width);
        expect(squeezed(cue.lines.join(''))).toBe(squeezed(cue.text));
        expect(cue.start).toBeLessThan(cue.end);
        expect(cue.voiceEnd).toBeLessThanOrEqual(cue.end);
        const next = cues[n + 1];
        if (next) expect(cue.end).toBeLessThanOrEqual(Math.max(next.start, cue.start + 1));
      }
    }),
    { numRuns: 300 },
  );
});

test('times move captions, never words: a text is broken alike whether its words have times or not', () => {
  fc.assert(
    fc.property(anyText, fc.constantFrom(...LANGUAGES), (text, language) => {
      const words = text.split(/\s+/u).filter(Boolean).map((word, n): Word => ({ text: word, start: at(n * 1e5), end: at(n * 1e5 + 9e4) })); // prettier-ignore
      const timed = layout({ text, words, start: at(0), end: at(5e6) }, language as Language);
      expect(timed.map(({ lines }) => lines)).toEqual(untimed(text, language).map(({ lines }) => lines));
    }),
    { numRuns: 100 },
  );
});

test('what is on show on the first line stays there', () => {
  const text = 'unless to be rather cold hearted and rather selfish is to be ill disposed';
  const shown = 'unless to be rather cold hearted and'.length;
  const [cue] = layout({ text, words: [], start: at(0), end: at(S) }, 'en' as Language, { shown });
  expect(cue?.lines[0]).toBe('unless to be rather cold hearted and');
});

describe('times', () => {
  const text = 'and mister john dashwood had then leisure to consider how much there might be prudently in his power';
  const all = text.split(' ');
  const words = all.map((word, n): Word => ({ text: word, start: at(n * 0.3 * S), end: at((n * 0.3 + 0.25) * S) }));
  const spoken = { text, words, start: at(0), end: at(((all.length - 1) * 0.3 + 0.25) * S) };

  test('a caption begins with its first word and ends with its last', () => {
    const [first, second, ...none] = layout(spoken, 'en' as Language);
    expect(none).toEqual([]);
    const opening = second!.text.split(' ')[0]!;
    expect(second!.start).toBe(words[all.indexOf(opening)]!.start);
    expect(first!.voiceEnd).toBe(words[all.indexOf(opening) - 1]!.end);
    expect(first!.end).toBe(second!.start);
    expect(second!.voiceEnd).toBe(spoken.end);
  });

  test('words that were cut from the voice stay in the caption, and get time to be read', () => {
    const heard = { ...spoken, words: words.slice(0, 4), end: words[3]!.end };
    const cues = layout(heard, 'en' as Language);
    expect(cues.map((cue) => cue.text).join(' ')).toBe(text);
    // The second was never heard: it has its share of the time by what there is to read, and goes on behind the voice.
    const [first, second] = cues as [LaidOut, LaidOut];
    expect(second.start).toBeGreaterThan(first.start);
    expect(second.start).toBeLessThan(heard.end);
    expect(second.end - second.start).toBeGreaterThan((lengthOf(second.text) / 17) * S - 1_000);
  });

  test('words that are written otherwise than they are said cost nobody else the time', () => {
    const odd = words.map((word, n) => ({ ...word, text: n === 1 ? 'Mr.' : word.text.toUpperCase() }));
    expect(layout({ ...spoken, words: odd }, 'en' as Language)).toEqual(layout(spoken, 'en' as Language));
  });

  test('a caption stays long enough to be read, at least 5/6 s and at most 7 s unless somebody speaks on', () => {
    const long = (value: string, end: number) => untimed(value, 'en', end)[0]!.end;
    expect(long('Yes.', 0.2)).toBe(833_000);
    expect(long('x'.repeat(34), 0.2)).toBe(2 * S);
    expect(long('x'.repeat(34), 9)).toBe(9 * S);
    expect(untimed('欢迎大家来体验达摩院推出的语音识别', 'zh', 0.2)[0]!.end).toBeGreaterThan(1.9 * S);
  });
});

const after = (from: number, voiceEnd: number, end: number, speaker = 's1') => ({ start: at(from * S), voiceEnd: at(voiceEnd * S), end: at(end * S), speaker }); // prettier-ignore
const spans = (cues: readonly { start: number; end: number }[]) => cues.map(({ start, end }) => [start / S, end / S]);
test.for([
  [
    'one that stays to be read goes when the next comes',
    [after(0, 1, 3), after(2, 3, 3)],
    [
      [0, 2],
      [2, 3],
    ],
  ],
  [
    'a gap too short to be one is closed',
    [after(0, 1, 1), after(1.2, 3, 3)],
    [
      [0, 1.2],
      [1.2, 3],
    ],
  ],
  [
    'a longer gap stays',
    [after(0, 1, 1), after(1.3, 3, 3)],
    [
      [0, 1],
      [1.3, 3],
    ],
  ],
  [
    'a short one holds up the next',
    [after(0, 0.4, 0.833), after(0.5, 3, 3)],
    [
      [0, 0.833],
      [0.833, 3],
    ],
  ],
  [
    'but by half a second at most',
    [after(0, 2, 2), after(0.5, 3, 3)],
    [
      [0, 1],
      [1, 3],
    ],
  ],
  [
    'two people at once are both read',
    [after(0, 4, 5), after(2, 3, 3.5, 's2')],
    [
      [0, 4],
      [2, 3.5],
    ],
  ],
  [
    'another who is quicker than the reader takes over',
    [after(0, 1, 3), after(2, 3, 3, 's2')],
    [
      [0, 2],
      [2, 3],
    ],
  ],
] as const)('%s', ([, cues, expected]) => {
  expect(spans(seamless(cues))).toEqual(expected);
});

test.for([
  [undefined, 'bottom'],
  [{ top: 0.1, bottom: 0.6 }, 'bottom'],
  [{ top: 0.5, bottom: 1 }, 'top'],
  [{ top: 0, bottom: 1 }, 'bottom'],
  [{ top: 0.05, bottom: 0.95 }, 'bottom'],
] as const)('with a face at %o captions go to the %s', ([face, place]) => {
  expect(placeOf(face)).toBe(place);
});

// Real speech with real word times: LibriVox, aligned by pocketsphinx (see MEDIA.md).
const LIBRIVOX = ['0870', '0880', '0890', '0920', '0930'].map(
  (id) => `align/librivox/sense_and_sensibility_01_austen_64kb-${id}.json`,
);
const absent = missing(...LIBRIVOX);
describe.skipIf(absent)(`real speech${absent ? ` (skipped: ${absent})` : ''}`, () => {
  const read = () => {
    let from = 0;
    return LIBRIVOX.map((name) => {
      const { d, w } = JSON.parse(readFileSync(recording(name), 'utf8')) as {
        d: number;
        w: { b: number; d: number; t: string }[];
      };
      const words = w
        .filter(({ t }) => /^[a-z']/.test(t))
        .map((one): Word => ({
          text: one.t.replace(/\(\d\)$/, ''),
          start: at((from + one.b) * S),
          end: at((from + one.b + one.d) * S),
        }));
      from += d;
      return words;
    });
  };

  test('its captions can be read, fit, end with the voice, and never flicker', () => {
    const utterances = new Utterances({ language: 'en' as Language });
    const captions = new SourceCaptions();
    const cues: Cue[] = [];
    const said: Line[] = [];
    for (const [segment, words] of read().entries()) {
      for (let n = 1; n <= words.length; n += 1) {
        const end = words[n - 1]!.end;
        const heard: Hypothesis = { segment, stable: words.slice(0, n), draft: 'and then', final: n === words.length, start: words[0]!.start, end }; // prettier-ignore
        const closed = utterances.push(heard);
        cues.push(...captions.push(heard, closed, utterances.unfinished));
        said.push(...closed.map((utterance): Line => ({ ...utterance, utterance: utterance.id })));
      }
    }
    const clips = said.map(({ utterance, start, end }) => ({ utterance, start, end }));
    const figures = captionFigures(cues, clips);
    expect(figures).toMatchObject({ fitting: 1, flickers: 0, overlapping: 0, rows: 2 });
    expect(figures.readable).toBe(1);
    expect(figures.end!.p5).toBeGreaterThanOrEqual(0);
    expect(figures.end!.p95).toBeLessThan(seconds(1.5));
  });

  test('so do those of a dub that speaks the same words, some of them cut', () => {
    const captions = new LineCaptions();
    const cues: Cue[] = [];
    const clips: Pick<Clip, 'utterance' | 'start' | 'end'>[] = [];
    for (const [n, words] of read().entries()) {
      const [start, last] = [words[0]!.start, words.at(-1)!.end];
      const text = words.map((word) => word.text).join(' ');
      const line: Line = { utterance: `u0.${n}` as UtteranceId, speaker: 's1' as SpeakerId, language: 'en' as Language, start, end: last, text }; // prettier-ignore
      const kept = words.slice(0, words.length - (n % 3));
      const clip = { utterance: line.utterance, start, end: kept.at(-1)!.end, words: kept } as unknown as Clip;
      cues.push(...captions.told(line), ...captions.settled(line, clip));
      clips.push(clip);
    }
    const figures = captionFigures(cues, clips);
    expect(figures).toMatchObject({ fitting: 1, flickers: 0, overlapping: 0 });
    expect(figures.readable).toBe(1);
    expect(figures.end!.p5).toBeGreaterThanOrEqual(0);
  });
});
