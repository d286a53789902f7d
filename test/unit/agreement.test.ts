import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { at, ms, seconds } from '../../media/time.ts';
import { Agreement } from '../../models/recognize/agreement.ts';

/** Words of one second each, one after the other. */
const said = (text: string) =>
  text.split(' ').flatMap((word, n) => (word ? [{ text: word, start: at(n * 1e6), end: at((n + 1) * 1e6) }] : []));
const texts = (words: readonly { text: string }[]) => words.map(({ text }) => text).join(' ');

describe('a word is stable', () => {
  test('once two hypotheses in a row agree on it and it is a second old', () => {
    const agreement = new Agreement(seconds(1));
    expect(texts(agreement.hear(said('he hoped there'), at(3e6)).stable)).toBe('');
    const second = agreement.hear(said('he hoped they would'), at(4e6));
    expect(texts(second.stable)).toBe('he hoped');
    expect(texts(second.draft)).toBe('they would');
    expect(texts(agreement.hear(said('he hoped they would be'), at(4.5e6)).stable)).toBe('he hoped they');
  });

  test('for good, whatever is heard later', () => {
    const agreement = new Agreement(ms(0));
    agreement.hear(said('a b'), at(2e6));
    agreement.hear(said('a b'), at(2e6));
    expect(texts(agreement.hear(said('x y z'), at(3e6)).stable)).toBe('a b');
    expect(texts(agreement.finish(said('x y c d')))).toBe('a b c d');
  });

  test('however hypotheses follow each other: what was stable stays, in order', () => {
    const hypothesis = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 8 });
    fc.assert(
      fc.property(fc.array(hypothesis, { minLength: 1, maxLength: 8 }), fc.nat(3_000), (hypotheses, age) => {
        const agreement = new Agreement(ms(age));
        let before: readonly unknown[] = [];
        for (const [n, words] of hypotheses.entries()) {
          const heard = said(words.join(' '));
          const stable = n === hypotheses.length - 1 ? agreement.finish(heard) : agreement.hear(heard, at(8e6)).stable;
          expect(stable.slice(0, before.length)).toEqual(before);
          for (const [k, word] of stable.entries())
            if (k > 0) expect(word.start).toBeGreaterThanOrEqual(stable[k - 1]!.end);
          before = stable;
        }
      }),
    );
  });
});
