import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ms } from '../../media/time.ts';
import type { Scope } from '../../media/scope.ts';
import type { Language } from '../../pipeline/domain.ts';
import { until } from '../../pipeline/until.ts';
import { Level, RATE, USUAL_LEVEL } from './alignment-features.ts';
import { Lexicon, readDictionary } from './alignment-lexicon.ts';
import { ACOUSTIC_FILES, PhoneModel } from './alignment-model.ts';
import { Passage } from './alignment-passage.ts';
import { PhonePlacer } from './alignment-phones.ts';
import { defineEngine, needsFile } from '../engine.ts';
import { ESPEAK_FILES } from '../speak/espeak-library.ts';
import { G2P_FILES, type Pronouncer, openG2p } from './g2p.ts';
import { openEspeakG2p } from './g2p-espeak.ts';
import { SPHINX_MODEL_PACKAGE } from '../recognize/sphinx-library.ts';

const ENGLISH = 'en' as Language;
/** Where Debian puts the acoustic model and the dictionary. */
const MODEL = '/usr/share/pocketsphinx/model/en-us/en-us';
const DICTIONARY = '/usr/share/pocketsphinx/model/en-us/cmudict-en-us.dict';

/** What pronounces words that are in no dictionary: the network where it is given, else eSpeak NG where that is. */
async function pronouncer(folder: string | undefined, scope: Scope): Promise<Pronouncer | undefined> {
  if (folder !== undefined) return openG2p(folder, scope);
  return ESPEAK_FILES.some((file) => existsSync(file)) ? openEspeakG2p(scope) : undefined;
}

/**
 * Forced alignment of English phones with the acoustic model of PocketSphinx, in TypeScript.
 *
 * Words are placed twice: phones without their neighbours find out how each word was pronounced and where there were
 * pauses, then phones between their neighbours find the boundaries. A word is settled when every way that is still open
 * agrees about it. Boundaries are those of CMU Sphinx: frame n begins 10·n ms into the utterance.
 *
 * @see https://github.com/cmusphinx/pocketsphinx, `state_align_search.c`
 */
export const phoneAligner = defineEngine({
  kind: 'aligner',
  id: 'phones',
  host: 'thread',
  summary: 'Forced alignment of English words and phones by hidden Markov models, on a tenth of a core.',
  licence: 'BSD-2-Clause',
  needs: [needsFile(SPHINX_MODEL_PACKAGE, [join(MODEL, 'mdef')])],
  languages: [ENGLISH],
  config: z.strictObject({
    model: z
      .string()
      .default(MODEL)
      .describe('Directory of the acoustic model: mdef, means, variances, sendump and transition_matrices.'),
    dictionary: z.string().default(DICTIONARY).describe('Pronouncing dictionary in the format of CMUdict.'),
    g2p: z
      .string()
      .optional()
      .describe(
        'Directory of the g2p_en network (models/export/g2p_en.py), for words that are in no dictionary; else eSpeak NG.',
      ),
    floor: z
      .number()
      .min(0)
      .max(100)
      .default(3.2)
      .describe(
        'How much worse than any sounds a text may fit, in natural logarithms per 10 ms, before it is refused.',
      ),
  }),
  async load({ model, dictionary, g2p, floor }, scope) {
    const files = [
      ...ACOUSTIC_FILES.map((name) => join(model, name)),
      dictionary,
      ...(g2p === undefined ? [] : Object.values(G2P_FILES).map((name) => join(g2p, name))),
    ];
    const absent = files.filter((file) => !existsSync(file));
    if (absent.length > 0) throw new Error(`Cannot load the phone aligner: there is no ${absent.join(', ')}`);
    const placer = new PhonePlacer(new PhoneModel(model));
    const lexicon = new Lexicon(readDictionary(dictionary), await pronouncer(g2p, scope));
    return {
      kind: 'aligner',
      engine: 'phones en-us',
      caps: { rate: RATE, lookahead: ms(300), languages: [ENGLISH], phones: 'arpabet' },
      async *run(input, { signal }) {
        let passage: Passage | undefined;
        let prior: ArrayLike<number> = USUAL_LEVEL;
        let level = new Level(prior);
        const close = (open: Passage) => {
          const last = open.finish();
          prior = level.mean();
          return last;
        };
        for await (const piece of until(input, signal)) {
          if (passage && passage.utterance !== piece.utterance) {
            // The rest of it, with its last piece, was lost on the way.
            yield close(passage);
            passage = undefined;
          }
          if (!passage) {
            level = new Level(prior);
            passage = new Passage(piece, { lexicon, placer, level, floor });
          }
          const news = await passage.hear(piece);
          if (news && !piece.last) yield news;
          if (!piece.last) continue;
          yield close(passage);
          passage = undefined;
        }
        if (passage && !signal.aborted) yield close(passage);
      },
    };
  },
});
