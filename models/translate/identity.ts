import { z } from 'zod';
import { ms } from '../../media/time.ts';
import type { Language } from '../../pipeline/domain.ts';
import { until } from '../../pipeline/until.ts';
import { defineEngine } from '../engine.ts';
import { SPOKEN } from '../speak/espeak-voices.ts';
import { asSentence, finished } from './sentence.ts';
import { canShorten, translateWithin } from './shortening.ts';

/** `en-GB` and `en-US` are one language to a translator that translates nothing. */
const base = (language: string) => language.toLowerCase().split('-')[0];

/** A dub into the language of the programme: the same words, written as sentences, for another voice to say. */
export const identity = defineEngine({
  kind: 'translator',
  id: 'identity',
  host: 'inline',
  config: z
    .strictObject({
      from: z.string().min(2).max(35).default('en').describe('Language of the programme, BCP 47.'),
      to: z.string().min(2).max(35).describe('Language of the dub: the same, or another region’s.'),
    })
    .refine(({ from, to }) => base(from) === base(to), {
      path: ['to'],
      error: 'the language of the programme and of the dub must be the same; choose a translator for others',
    }),
  summary: 'No translation: the same words in another voice.',
  licence: 'GPL-3.0-or-later',
  needs: [],
  pairs: SPOKEN.map((language) => ({ from: language, to: language })),
  load: async (config) => {
    const [from, to] = [config.from as Language, config.to as Language];
    return {
      kind: 'translator',
      engine: 'identity',
      caps: { lookahead: ms(0), from: [from], to: [to], budgets: canShorten(from), shortens: canShorten(from) },
      async *run(input, { signal }) {
        const same = async (source: string) => finished(source, source, to);
        for await (const utterance of until(input, signal)) {
          const { id, speaker, start, end, text } = utterance;
          const line = await translateWithin(asSentence(text, from), utterance, same, { from, to, attempts: 8 });
          if (line !== '') yield { utterance: id, speaker, language: to, start, end, text: line };
        }
      },
    };
  },
});
