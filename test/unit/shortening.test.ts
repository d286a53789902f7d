import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canShorten, shorterVersions, translateWithin } from '../../models/translate/shortening.ts';
import { syllablesByRule } from '../../models/translate/syllables.ts';
import type { Language } from '../../pipeline/domain.ts';
import { Fault } from '../../pipeline/fault.ts';
import { recording } from '../fakes/recordings.ts';
import { sentences } from '../engines/sentences.ts';

const en = 'en' as Language;
const versions = (text: string, language = en) => [...shorterVersions(text, language)];
const shortest = (text: string, language = en) => versions(text, language).at(-1)?.text ?? text;

describe('a text said shorter', () => {
  test.for([
    ['en', 'Well, you know, it is a very old house, right?', 'It is an old house.'],
    ['en', 'well you know i mean i think we really have to do it in order to win', 'we have to do it to win'],
    ['en', 'um so the the thing is that we just wanted to say thank you very much', 'we wanted to say thank you'],
    ['en', 'This is a kind of bird, sort of like an eagle.', 'This is a kind of bird, like an eagle.'],
    ['en', 'And I think the people at Google are absolutely right, of course.', 'The people at Google are right.'],
    ['en', 'Okay, then I thought you know, I heard a beep.', 'Then I thought I heard a beep.'],
    ['en', 'The majority of the 12 ships left prior to the storm.', 'Most of the 12 ships left before the storm.'],
    ['es', 'Bueno, pues la verdad es que creo que es muy bonito, ¿sabes?', 'Creo que es bonito.'],
    ['es', 'Sin embargo, los barcos volvieron en estos momentos, digamos.', 'Pero los barcos volvieron ahora.'],
  ] as const)('in %s: %s', ([language, text, short]) => {
    expect(shortest(text, language as Language)).toBe(short);
  });

  test.for([
    ['en', 'I do not really know what you know about it.'],
    ['en', 'It is not very good.'],
    ['en', "We don't actually have the money."],
    ['en', 'Do you know where he is?'],
    ['en', 'Really?'],
    ['en', 'Well.'],
    ['en', 'Well done, everybody.'],
    ['en', 'You see the old house.'],
    ['en', 'You know what he said?'],
    ['en', 'I mean it.'],
    ['en', 'We heard Kind Of Blue and Very Good Years.'],
    ['en', 'The thing is red.'],
    ['es', 'A ver la casa.'],
    ['en', 'He sings just as well as she does.'],
    ['en', 'What kind of people were they?'],
    ['en', 'That is the very same man.'],
    ['es', 'No es realmente muy caro.'],
    ['es', '¿Qué es eso?'],
    ['de', 'Also, ich meine, das ist ja eigentlich sehr schön.'],
  ] as const)('is the same where nothing can go, in %s: %s', ([language, text]) => {
    expect(versions(text, language as Language)).toEqual([]);
  });

  const filler =
    'well|you know|i mean|um|basically|actually|really|very|just|i think|of course|, right?|sort of|so'.split('|');
  const kernel =
    "not|n't|no|never|nobody|nothing|without|cannot|3|1984|Google|Paris|people|like|go|house|old|don't|a|the|we|to|.|,".split(
      '|',
    );
  const texts = fc
    .array(fc.oneof(fc.constantFrom(...filler), fc.constantFrom(...kernel)), { minLength: 1, maxLength: 25 })
    .map((words) => words.join(' '));
  const muletillas =
    'bueno|pues|o sea|la verdad es que|creo que|realmente|muy|¿sabes?|digamos|, claro ,|de hecho'.split('|');
  const nucleo = 'no|nunca|nadie|nada|ni|sin|3|1984|Madrid|gente|casa|va|vieja|el|un|que|.|,'.split('|');
  const textos = fc
    .array(fc.oneof(fc.constantFrom(...muletillas), fc.constantFrom(...nucleo)), { minLength: 1, maxLength: 25 })
    .map((words) => words.join(' '));

  const kept = (text: string) =>
    (
      text.match(
        /\b(?:not|no|never|nobody|nothing|without|cannot|nunca|nadie|nada|ni|sin)\b|n't|\d+|Google|Paris|Madrid/gu,
      ) ?? []
    )
      .sort()
      .join();

  test.for([
    ['en', texts],
    ['es', textos],
  ] as const)('never loses a negation, a number or a name, and is never longer or empty, in %s', ([language, any]) => {
    fc.assert(
      fc.property(any, (text) => {
        let before = text;
        let dear = false;
        for (const { text: short, cost } of versions(text, language as Language)) {
          expect(kept(short)).toBe(kept(text));
          expect(short.length).toBeLessThan(before.length);
          expect(short).toMatch(/\p{L}|\p{N}/u);
          // What costs nothing comes first.
          expect(dear && cost === 'free').toBe(false);
          dear ||= cost === 'shade';
          before = short;
        }
      }),
      { numRuns: 500 },
    );
  });

  test('is there for English and Spanish', () => {
    expect(['en', 'en-GB', 'es-MX', 'de', 'ja'].map((tag) => canShorten(tag as Language))).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
  });

  test('of sentences that are written well is nearly what it was', () => {
    const share = (texts: readonly string[]) => {
      const count = (all: readonly string[]) => all.reduce((sum, text) => sum + syllablesByRule(text, en), 0);
      return 1 - count(texts.map((text) => shortest(text))) / count(texts);
    };
    expect(share(sentences)).toBeLessThan(0.03);
  });

  const stm = recording('diar/pyannote_sample/sample.stm');
  test.skipIf(!existsSync(stm))(
    'of two people on the telephone is a good deal shorter (needs pyannote’s sample)',
    () => {
      const lines = readFileSync(stm, 'utf8')
        .trim()
        .split('\n')
        .map((row) => row.split(' ').slice(5).join(' '));
      const count = (all: readonly string[]) => all.reduce((sum, text) => sum + syllablesByRule(text, en), 0);
      const saved = 1 - count(lines.map((text) => shortest(text))) / count(lines);
      expect(saved).toBeGreaterThan(0.05);
      for (const line of lines) expect(kept(shortest(line))).toBe(kept(line));
    },
  );
});

describe('a translation within its budget', () => {
  const SAID = 'well you know we really have to do it in order to win';
  /** Translates nothing, and remembers what it was asked. */
  const parrot = () => {
    const asked: string[] = [];
    return {
      asked,
      translate: async (text: string) => {
        asked.push(text);
        return text;
      },
    };
  };
  const room = { from: en, to: en, attempts: 8 };
  const count = (text: string) => syllablesByRule(text, en);

  test('is the whole where there is room, or no budget', async () => {
    for (const utterance of [{}, { budget: { aim: 30, most: 40 } }]) {
      const { asked, translate } = parrot();
      expect(await translateWithin(SAID, utterance, translate, room)).toBe(SAID);
      expect(asked).toEqual([SAID]);
    }
  });

  test('loses only what costs nothing where it is over its aim, and more where it cannot be fitted', async () => {
    const over = await translateWithin(SAID, { budget: { aim: 9, most: 20 } }, parrot().translate, room);
    expect(over).toBe('we really have to do it to win');
    const tight = await translateWithin(SAID, { budget: { aim: 6, most: 8 } }, parrot().translate, room);
    expect(tight).toBe('we have to do it to win');
  });

  test('loses no more than it must', async () => {
    const budget = { aim: count(SAID) - 1, most: count(SAID) - 1 };
    const short = await translateWithin(SAID, { budget }, parrot().translate, room);
    expect(count(short)).toBeLessThanOrEqual(budget.aim);
    expect(count(short)).toBeGreaterThan(count('we really have to do it to win'));
  });

  test('that was too long comes back shorter, without the first being made again', async () => {
    const { asked, translate } = parrot();
    const tooLong = { text: 'you know we really have to do it to win', syllables: 11 };
    const short = await translateWithin(SAID, { tooLong }, translate, room);
    expect(count(short)).toBeLessThan(11);
    expect(asked).not.toContain(SAID);
  });

  test('stands as it was where nothing can be left out, or a second attempt fails', async () => {
    const plain = 'The children play in the park.';
    const tooLong = { text: 'Los niños juegan en el parque.', syllables: 10 };
    expect(await translateWithin(plain, { tooLong }, parrot().translate, room)).toBe(tooLong.text);
    let asked = 0;
    const failing = async (text: string) => {
      asked += 1;
      if (asked > 1) throw new Fault('translator', 'timeout', 'too slow');
      return text;
    };
    expect(await translateWithin(SAID, { budget: { aim: 5, most: 6 } }, failing, room)).toBe(SAID);
    expect(asked).toBeGreaterThan(1);
    const dead = async () => Promise.reject(new Fault('translator', 'unavailable', 'gone'));
    await expect(translateWithin(SAID, { budget: { aim: 5, most: 6 } }, dead, room)).rejects.toThrow('gone');
  });

  test('is translated as often as is allowed and no more', async () => {
    for (const attempts of [1, 2, 3]) {
      const { asked, translate } = parrot();
      await translateWithin(SAID, { budget: { aim: 1, most: 1 } }, translate, { ...room, attempts });
      expect(asked.length).toBeLessThanOrEqual(attempts);
    }
  });
});
