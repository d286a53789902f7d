import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Cast, CueBook, SPEAKER_COLOURS, speakerName } from '../../client/cue-book.ts';
import type { CueView } from '../../gateway/protocol.ts';

const S = 1e6;
const cue = (id: string, start: number, end: number, part: Partial<CueView> = {}): CueView => ({
  ...{ id, language: 'es', speaker: '1', text: id, draft: false, start: start * S, end: end * S },
  ...part,
});

test('a caption is shown while its words are heard, a moment longer when nothing follows, and not before', () => {
  const book = new CueBook();
  book.put(cue('a', 2, 4));
  expect(book.at('es', 1.99 * S)).toBeNull();
  expect(book.at('es', 2 * S)?.id).toBe('a');
  expect(book.at('es', 4.5 * S)?.id).toBe('a');
  expect(book.at('es', 5 * S)).toBeNull();
  expect(book.at('en', 3 * S)).toBeNull();
});

test('the next caption takes the place of one that lingers', () => {
  const book = new CueBook();
  book.put(cue('a', 2, 4));
  book.put(cue('b', 4.2, 6));
  expect(book.at('es', 4.1 * S)?.id).toBe('a');
  expect(book.at('es', 4.2 * S)?.id).toBe('b');
});

test('a long caption comes back after a short one that began later', () => {
  const book = new CueBook();
  book.put(cue('long', 0, 10));
  book.put(cue('short', 2, 3));
  expect([1, 2.5, 5].map((at) => book.at('es', at * S)?.id)).toEqual(['long', 'short', 'long']);
});

test('a later version of a draft replaces it, also when its times have moved', () => {
  const book = new CueBook();
  book.put(cue('a', 2, 4, { draft: true, text: 'Many birds' }));
  book.put(cue('a', 1.8, 5, { text: 'Many birds return.' }));
  expect(book.all('es')).toHaveLength(1);
  expect(book.at('es', 1.9 * S)).toMatchObject({ text: 'Many birds return.', draft: false });
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
  expect(colours).toEqual([0, 1, 2, 0, 3, 4, 5, 0]);
  expect(Math.max(...colours)).toBeLessThan(SPEAKER_COLOURS);
});

test.for([
  ['speaker-2', 'Speaker 2'],
  ['spk 10', 'Speaker 10'],
  ['3', 'Speaker 3'],
  ['Anna', 'Anna'],
])('speaker "%s" is called "%s"', ([id, name]) => {
  expect(speakerName(id ?? '')).toBe(name);
});
