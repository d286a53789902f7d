import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { at } from '../../media/time.ts';
import { flickersIn } from '../../pipeline/caption-figures.ts';
import { LineCaptions, SourceCaptions } from '../../pipeline/captions.ts';
import type { Clip, Cue, Hypothesis, Language, Line, SpeakerId, Utterance, UtteranceId, Word } from '../../pipeline/domain.ts'; // prettier-ignore
import { Utterances } from '../../pipeline/utterances.ts';

const en = 'en' as Language;
const word = (text: string, from: number): Word => ({ text, start: at(from * 1_000), end: at((from + 200) * 1_000) });
const said = (stable: Word[], draft: string, final = false, segment = 0): Hypothesis => ({
  segment, stable, draft, final, start: at(0), end: at(5_000_000),
}); // prettier-ignore
function show(hypotheses: readonly Hypothesis[], utterances = new Utterances({ language: en })) {
  const captions = new SourceCaptions();
  const spoken: Utterance[] = [];
  const cues: Cue[] = hypotheses.flatMap((each) => {
    const closed = utterances.push(each);
    spoken.push(...closed);
    return captions.push(each, closed, utterances.unfinished);
  });
  const rest = utterances.end();
  return { cues: [...cues, ...captions.end(rest)], spoken: [...spoken, ...rest] };
}
const told = (cues: readonly Cue[]) => cues.map(({ id, text, draft }) => [id, text, draft]);

test('a draft grows by words that will not change, and the rest follows under its id', () => {
  const { cues } = show([
    said([], 'hell'),
    said([word('hello', 0)], 'word'),
    said([word('hello', 0), word('world', 250)], ''),
    said([word('hello', 0), word('world', 250)], '', true),
  ]);
  expect(told(cues)).toEqual([
    ['u0.0', 'hello', true],
    ['u0.0', 'hello world', true],
    ['u0.0', 'hello world', false],
  ]);
});

test('the draft of what follows has the next id', () => {
  const { cues } = show([said([word('hello', 0), word('you', 800)], 'the')]);
  expect(told(cues).slice(0, 2)).toEqual([
    ['u0.0', 'hello', false],
    ['u0.1', 'you', true],
  ]);
});

test('a draft holds no more than the beginning of a line, so that the line can still be broken well', () => {
  const words = 'the house on the corner of the street belongs to a man of'.split(' ').map((w, n) => word(w, n * 250)); // prettier-ignore
  const hypotheses = words.map((_, n) => said(words.slice(0, n + 1), ''));
  const { cues } = show(hypotheses);
  const drafts = cues.filter(({ draft }) => draft);
  expect(Math.max(...drafts.map(({ text }) => text.length))).toBeLessThanOrEqual(25);
  expect(cues.at(-1)!.lines).toEqual(['the house on the corner', 'of the street belongs to a man of']);
  expect(flickersIn(cues)).toBe(0);
});

test('what does not change is not said again', () => {
  expect(show([said([word('hello', 0)], ''), said([word('hello', 0)], '')]).cues).toHaveLength(2);
});

const vocabulary = fc.constantFrom('I', 'the', 'house,', 'of', 'birds', 'return', 'because', 'Rechtsschutzversicherungsgesellschaften', 'now.', 'a', 'and', 'extraordinarily'); // prettier-ignore
test('whatever a recogniser says, no caption in the programme’s language ever takes back a word or moves it', () => {
  const stream = fc.array(
    fc.record({
      words: fc.array(fc.record({ text: vocabulary, gap: fc.constantFrom(0, 50, 100, 340, 360, 900) }), { minLength: 1, maxLength: 40 }),
      // How many more words become certain each time.
      steps: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 40 }),
    }),
    { maxLength: 4 },
  ); // prettier-ignore
  const longest = fc.constantFrom(1_200_000, 2_000_000, 5_000_000);
  fc.assert(
    fc.property(stream, longest, (segments, longest) => {
      let now = 0;
      const hypotheses = segments.flatMap(({ words, steps }, segment) => {
        const spoken = words.map(({ text, gap }) => {
          const one = word(text, now + gap);
          now += gap + 200;
          return one;
        });
        let count = 0;
        const growing = steps.map((step) => said(spoken.slice(0, (count += step)), 'er', false, segment));
        return [...growing, said(spoken, '', true, segment)];
      });
      const utterances = new Utterances({ language: en, closing: { longest: longest as never } });
      const { cues, spoken } = show(hypotheses, utterances);
      expect(flickersIn(cues)).toBe(0);
      const finals = cues.filter(({ draft }) => !draft);
      expect(new Set(finals.map(({ id }) => id)).size).toBe(finals.length);
      const squeezed = (texts: readonly string[]) => texts.join('').replaceAll(' ', '');
      expect(squeezed(finals.flatMap(({ lines }) => lines))).toBe(squeezed(spoken.map(({ text }) => text)));
      for (const cue of cues) {
        const first = cues.find(({ id }) => id === cue.id);
        expect(first?.start).toBe(cue.start);
      }
    }),
    { numRuns: 300 },
  );
});

const line = (text: string, start = 1, end = 2): Line => ({
  utterance: 'u0.0' as UtteranceId, speaker: 's1' as SpeakerId, language: 'es' as Language,
  start: at(start * 1e6), end: at(end * 1e6), text,
}); // prettier-ignore
const LONG = 'Hoy quiero hablar de las aves que cruzan el océano sin descansar, y de lo que sabemos sobre cómo encuentran el camino de vuelta.'; // prettier-ignore

describe('in another language', () => {
  test('a caption has its text and its lines at once, and its time when the voice has', () => {
    const captions = new LineCaptions();
    const drafts = captions.told(line(LONG, 1, 8));
    expect(drafts.map(({ id, draft }) => [id, draft])).toEqual([
      ['u0.0', true],
      ['u0.0/2', true],
    ]);
    const words = LONG.split(' ').map((text, n) => ({ text, start: at(2e6 + n * 2e5), end: at(2e6 + n * 2e5 + 19e4) }));
    const clip = { start: at(2e6), end: words.at(-1)!.end, words } as unknown as Clip;
    const finals = captions.settled(line(LONG, 1, 8), clip);
    expect(finals.map(({ id, lines, draft }) => [id, lines, draft])).toEqual(
      drafts.map(({ id, lines }) => [id, lines, false]),
    );
    expect([finals[0]!.start, finals[1]!.voiceEnd]).toEqual([clip.start, clip.end]);
    expect(finals[1]!.start).toBe(words[LONG.split(' ').indexOf('y')]!.start);
    expect(flickersIn([...drafts, ...finals])).toBe(0);
  });

  test('it goes with its voice when that is slower than reading, and has the source’s interval without one', () => {
    const captions = new LineCaptions();
    const voice = (end: number) => ({ start: at(1e6), end: at(end * 1e6) }) as Clip;
    expect(captions.settled(line('hola'), voice(3.7))).toMatchObject([{ end: 3_700_000, draft: false }]);
    expect(captions.settled(line('hola'), voice(1.4))).toMatchObject([{ end: 1_833_000, voiceEnd: 1_400_000 }]);
    expect(captions.settled(line('hola'), undefined)).toMatchObject([{ start: 1e6, end: 2e6 }]);
  });

  test('what a shorter line has no use for is taken back', () => {
    const captions = new LineCaptions();
    captions.told(line(LONG, 1, 8));
    const finals = captions.settled(line('Hoy hablo de aves.', 1, 8), undefined);
    expect(told(finals)).toEqual([
      ['u0.0', 'Hoy hablo de aves.', false],
      ['u0.0/2', '', false],
    ]);
  });

  test('captions go to the top while a face is at the bottom, and a draft’s caption stays where the draft was', () => {
    let face = { top: 0.5, bottom: 1 };
    const captions = new LineCaptions(() => face);
    expect(captions.told(line('hola'))).toMatchObject([{ place: 'top' }]);
    face = { top: 0, bottom: 0.4 };
    expect(captions.settled(line('hola'), undefined)).toMatchObject([{ place: 'top' }]);
    expect(captions.settled(line('hola'), undefined)[0]).not.toHaveProperty('place');
  });

  test('whatever the voice cuts, the caption has every word, and no word moves', () => {
    fc.assert(
      fc.property(fc.array(vocabulary, { minLength: 1, maxLength: 40 }), fc.nat(40), fc.nat(3_000), (all, kept, late) => {
        const captions = new LineCaptions();
        const text = all.join(' ');
        const words = all.slice(0, kept).map((text, n) => ({ text, start: at((late + n * 300) * 1e3), end: at((late + n * 300 + 250) * 1e3) })); // prettier-ignore
        const clip = words.length > 0 ? ({ start: at(late * 1e3), end: words.at(-1)!.end, words } as unknown as Clip) : undefined; // prettier-ignore
        const drafts = captions.told(line(text, 0, all.length * 0.3));
        const finals = captions.settled(line(text, 0, all.length * 0.3), clip);
        expect(flickersIn([...drafts, ...finals])).toBe(0);
        expect(finals.map((cue) => cue.lines.join('')).join('').replaceAll(' ', '')).toBe(text.replaceAll(' ', ''));
        // It ends no earlier than the voice.
        if (clip) expect(finals.at(-1)!.end).toBeGreaterThanOrEqual(clip.end);
        for (const [n, cue] of finals.entries()) if (n > 0) expect(cue.start).toBeGreaterThanOrEqual(finals[n - 1]!.start);
      }),
      { numRuns: 200 },
    ); // prettier-ignore
  });
});
