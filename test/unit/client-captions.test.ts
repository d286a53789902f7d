import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Cast, CueBook } from '../../client/cue-book.ts';
import { type CueView, SPEAKER_COLOURS, speakerName } from '../../gateway/protocol.ts';

const S = 1e6;
const cue = (id: string, start: number, end: number, part: Partial<CueView> = {}): CueView => ({
  ...{ id, language: 'es', speaker: '1', text: id, draft: false, start: start * S, end: end * S },
  ...part,
});

const shows = (book: CueBook, at: number, language = 'es') => book.show(language, at * S).map(({ id }) => id);

test('a caption is shown while its words are heard, and not before or after', () => {
  const book = new CueBook();
  book.put(cue('a', 2, 4));
  expect([1.99, 2, 3.99, 4, 5].map((at) => shows(book, at))).toEqual([[], ['a'], ['a'], [], []]);
  expect(shows(book, 3, 'en')).toEqual([]);
});

test('a caption that stays to be read goes when the next one comes, and does not come back', () => {
  const book = new CueBook();
  book.put(cue('a', 2, 5, { voiceEnd: 3 * S }));
  book.put(cue('b', 4, 4.5));
  expect([2, 3.9, 4, 4.7, 4.9, 5].map((at) => shows(book, at))).toEqual([['a'], ['a'], ['b'], ['b'], [], []]);
});

test('captions that follow closely are joined without a gap', () => {
  const book = new CueBook();
  book.put(cue('a', 2, 4));
  book.put(cue('b', 4.2, 6));
  expect([2, 4.1, 4.2].map((at) => shows(book, at))).toEqual([['a'], ['a'], ['b']]);
});

test('a caption is seen for most of a second before the next takes its place, which is held up by half a second at most', () => {
  const book = new CueBook();
  book.put(cue('a', 2, 2.3));
  book.put(cue('b', 2.3, 6));
  book.put(cue('c', 2.4, 6));
  expect([2, 2.4, 2.7, 2.85].map((at) => shows(book, at))).toEqual([['a'], ['a'], ['a'], ['c']]);
  const quick = new CueBook();
  quick.put(cue('a', 2, 3));
  expect(shows(quick, 2.9)).toEqual(['a']);
  quick.put(cue('b', 3, 6));
  expect([3.4, 3.5].map((at) => shows(quick, at))).toEqual([['a'], ['b']]);
});

test('while two people speak at once, both are read', () => {
  const book = new CueBook();
  book.put(cue('a', 0, 10));
  book.put(cue('b', 2, 4, { speaker: '2' }));
  expect([1, 3, 5].map((at) => shows(book, at))).toEqual([['a'], ['b', 'a'], ['a']]);
});

test('the name is said when the speaker changes', () => {
  const book = new CueBook();
  for (const [n, speaker] of ['1', '1', '2', '1'].entries()) book.put(cue(`${n}`, n * 2, n * 2 + 1.5, { speaker }));
  expect([0.5, 2.5, 4.5, 6.5].map((at) => book.show('es', at * S)[0]?.introduces)).toEqual([true, false, true, true]);
});

test('what was not seen yet is replaced, also when its times have moved', () => {
  const book = new CueBook();
  book.put(cue('a', 2, 4, { draft: true, text: 'Many birds' }));
  book.put(cue('a', 1.8, 5, { text: 'Most birds return.' }));
  expect(book.all('es')).toHaveLength(1);
  expect(book.show('es', 1.9 * S)).toMatchObject([{ text: 'Most birds return.', draft: false }]);
  book.put(cue('b', 8, 9, { draft: true }));
  book.put(cue('b', 8, 9, { text: '' }));
  expect(shows(book, 8.5)).toEqual([]);
});

const lines = (book: CueBook, at: number) => book.show('es', at * S).flatMap((one) => one.lines);
test('words that were seen stay on their line, whatever a later version says', () => {
  const book = new CueBook();
  book.put(cue('a', 2, 9, { draft: true, text: 'Muchas aves vuelven cada', lines: ['Muchas aves vuelven cada'] }));
  expect(lines(book, 2.5)).toEqual(['Muchas aves vuelven cada']);
  const text = 'Muchas aves vuelven cada año al mismo lugar, y nadie sabe cómo.';
  book.put(cue('a', 2, 9, { text, lines: ['Muchas aves vuelven', 'cada año al mismo lugar, y nadie sabe cómo.'] }));
  expect(lines(book, 3)).toEqual(['Muchas aves vuelven cada año al mismo', 'lugar, y nadie sabe cómo.']);
  book.put(cue('a', 2, 9, { text: 'Something else', lines: ['Something else'] }));
  book.put(cue('a', 2, 9, { text: '', lines: [] }));
  expect(lines(book, 4)).toEqual(['Muchas aves vuelven cada año al mismo', 'lugar, y nadie sabe cómo.']);
});

test('a draft that was seen stays until the rest of it comes', () => {
  const book = new CueBook();
  book.put(cue('a', 2, 3, { draft: true, text: 'Muchas aves', lines: ['Muchas aves'] }));
  expect([2.5, 3.5].map((at) => lines(book, at))).toEqual([['Muchas aves'], ['Muchas aves']]);
  book.put(cue('a', 2, 4.5, { text: 'Muchas aves vuelven.', lines: ['Muchas aves vuelven.'] }));
  expect([4, 4.6].map((at) => lines(book, at))).toEqual([['Muchas aves vuelven.'], []]);
});

test('whatever comes and whenever, nothing that was seen flickers', () => {
  const words = fc.array(fc.constantFrom('uno', 'dos', 'y', 'Muchas', 'aves,', 'Rechtsschutzversicherung', '鳥'), {
    minLength: 1,
    maxLength: 14,
  });
  const version = fc.record({
    id: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
    speaker: fc.constantFrom('1', '2'),
    shift: fc.integer({ min: -5, max: 5 }),
    length: fc.integer({ min: 1, max: 40 }),
    words,
    cut: fc.nat(14),
    draft: fc.boolean(),
  });
  const step = fc.oneof(
    fc.record({ put: version }),
    fc.record({ wait: fc.integer({ min: 0, max: 4 }) }),
    fc.record({ wait: fc.integer({ min: -3, max: 0 }) }),
  );
  let seen = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 160, size: 'max' }), (steps) => {
      const book = new CueBook();
      const gone = new Set<string>();
      const latest = new Map<string, CueView>();
      book.put(cue('far', 1_000, 1_001));
      let before = book.show('es', 0);
      let now = 0;
      let most = 0;
      for (const one of steps) {
        if ('put' in one) {
          const { id, speaker, shift, length, words, cut, draft } = one.put;
          const start = 20 * 'abcdef'.indexOf(id) + shift;
          const laidOut = [words.slice(0, cut).join(' '), words.slice(cut).join(' ')].filter(Boolean);
          const put = cue(id, start / 10, (start + length) / 10, {
            speaker,
            draft,
            text: words.join(' '),
            lines: laidOut,
          });
          book.put(put);
          latest.set(id, put);
        } else now += one.wait;
        // More than a second back, the programme is seen anew.
        if (now < most - 10) {
          gone.clear();
          before = [];
          most = now;
        }
        most = Math.max(most, now);
        const shown = book.show('es', now * 1e5);
        expect(shown.length).toBeLessThanOrEqual(2);
        for (const old of before) {
          const still = shown.find(({ id }) => id === old.id);
          if (!still) {
            // Its time is over, or another took its place that was not there.
            const over = most * 1e5 >= (latest.get(old.id)?.end ?? 0);
            expect(over || shown.some(({ id }) => !before.some((one) => one.id === id))).toBe(true);
            gone.add(old.id);
            continue;
          }
          seen += 1;
          expect([still.speaker, still.introduces, still.start]).toEqual([old.speaker, old.introduces, old.start]);
          expect(still.text.startsWith(old.text)).toBe(true);
          old.lines.forEach((line, n) =>
            n < old.lines.length - 1
              ? expect(still.lines[n]).toBe(line)
              : expect(still.lines[n]?.startsWith(line)).toBe(true),
          );
          expect(still.lines.join('').replaceAll(' ', '')).toBe(still.text.replaceAll(' ', ''));
        }
        for (const { id } of shown) expect(gone.has(id)).toBe(false);
        before = shown;
      }
    }),
    { numRuns: 300 },
  );
  expect(seen).toBeGreaterThan(1_000);
});

test('captions are kept in order whatever the order they came in, and not for ever', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(10_000), { maxLength: 600 }), (starts) => {
      const book = new CueBook();
      starts.forEach((start, index) => book.put(cue(String(index), start, start + 1)));
      const kept = book.all('es').map(({ start }) => start);
      expect(kept).toEqual([...kept].sort((a, b) => a - b));
      expect(kept.length).toBe(Math.min(starts.length, 450));
    }),
    { numRuns: 50 },
  );
});

test('every speaker keeps a colour, and neighbours in order of appearance differ', () => {
  const cast = new Cast();
  const colours = ['anna', 'ben', 'cleo', 'anna', 'dora', 'emil', 'finn', 'gus'].map((name) => cast.colourOf(name));
  expect(colours).toEqual([0, 1, 2, 0, 3, 4, 5, 0].map((n) => SPEAKER_COLOURS[n]));
});

test('a speaker with a number has the same colour wherever captions are read, and it can be read on black', () => {
  const cast = new Cast();
  expect(['s2', 's1', 'speaker-7'].map((name) => cast.colourOf(name))).toEqual(
    [1, 0, 0].map((n) => SPEAKER_COLOURS[n]),
  );
  // WCAG 2.2 §1.4.6: 7 to 1 against black.
  const luminance = (colour: string) =>
    [1, 3, 5]
      .map((n) => Number.parseInt(colour.slice(n, n + 2), 16) / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
      .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n]!, 0);
  for (const colour of SPEAKER_COLOURS) expect((luminance(colour) + 0.05) / 0.05).toBeGreaterThan(7);
});

test.for([
  ['speaker-2', 'Speaker 2'],
  ['spk 10', 'Speaker 10'],
  ['3', 'Speaker 3'],
  ['Anna', 'Anna'],
])('speaker "%s" is called "%s"', ([id, name]) => {
  expect(speakerName(id ?? '')).toBe(name);
});
