import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { Scope } from '../../media/scope.ts';
import { registry } from '../../models/index.ts';
import { FAMILIES, M2M100_CARD, ManyTokens, NLLB_CARD } from '../../models/translate/m2m100.ts';
import { networkSettings } from '../../models/runtime/runtime-settings.ts';
import { Seq2Seq } from '../../models/translate/seq2seq.ts';
import type { Language } from '../../pipeline/domain.ts';
import { Fault } from '../../pipeline/fault.ts';
import { conforms } from '../conformance/stage.ts';
import { translatedBy, utterance } from '../fakes/utterances.ts';

interface Reference {
  readonly languages: Readonly<Record<'en' | 'es', number>>;
  readonly sentences: readonly {
    readonly text: string;
    readonly ids: readonly number[];
    readonly greedy: readonly number[];
    readonly beam: readonly number[];
    readonly wide: readonly number[];
    readonly short: readonly number[];
    readonly decoded: string;
  }[];
}

/** Sentences the tiny networks were trained on, and what they were told they mean. */
const taught = [
  ['Good evening and welcome to the programme.', 'Buenas tardes y bienvenidos al programa.'],
  ['He opened the window, looked outside and laughed.', 'Abrió la ventana, miró hacia fuera y se rió.'],
  ['The doctor asked him to come back in a week.', 'El médico le pidió que volviera dentro de una semana.'],
] as const;

const suite = new Scope('suite');
afterAll(() => suite.close());
const [en, es] = ['en' as Language, 'es' as Language];

describe.for(['m2m100', 'nllb'] as const)('%s', (id) => {
  /** A tiny network with what Transformers (Python) makes of it; written by models/export/m2m100.py. */
  const tiny = fileURLToPath(new URL(`../fixtures/${id}`, import.meta.url));
  const { languages, sentences } = JSON.parse(readFileSync(`${tiny}/reference.json`, 'utf8')) as Reference;
  const load = (settings: object = {}) =>
    registry().load('translator', id, { from: 'en', to: 'es', model: tiny, ...settings }, suite);
  const open = () => {
    const runtime = networkSettings.parse({});
    return Seq2Seq.open(tiny, 'tiny', { weights: 'quantized', runtime }, suite);
  };
  const tokens = new ManyTokens(tiny, FAMILIES[id], { from: en, to: es }, 2);

  conforms(id, load, () => taught.map(([text], n) => utterance(text, n)));

  test.for([
    ['greedy', { beams: 1 }],
    ['beam', { beams: 4, earlyStopping: false }],
    ['wide', { beams: 6, lengthPenalty: 0.6, earlyStopping: true }],
    ['short', { beams: 3, longest: 6, earlyStopping: false }],
  ] as const)('says token for token what Transformers says: %s', async ([kind, changes]) => {
    const network = await open();
    for (const { ids, text, ...said } of sentences) {
      const answer = await network.translate(ids, [languages.es], network.search(changes), () => {});
      expect(answer.tokens, text).toEqual(said[kind]);
    }
  });

  test('writes the tokens of the makers’ tokenizer, languages included, and reads them', () => {
    expect(tokens.opening).toEqual([languages.es]);
    for (const { text, ids, beam, decoded } of sentences) {
      expect(tokens.encode(text), text).toEqual(ids);
      expect(tokens.decode(beam).trim(), text).toBe(decoded.trim());
    }
  });

  test('translates either way, one line for each utterance, in order', async () => {
    const there = await translatedBy(
      await load(),
      taught.map(([text], n) => utterance(text, n)),
    );
    expect(there.lines.map(({ text }) => text)).toEqual(taught.map(([, spanish]) => spanish));
    const back = await translatedBy(
      await load({ from: 'es', to: 'en' }),
      taught.map(([, text], n) => utterance(text, n)),
    );
    expect(back.lines.map(({ text }) => text)).toEqual(taught.map(([english]) => english));
  });

  test('refuses a language it does not know, with those it knows', async () => {
    const refusal = await load({ to: 'tlh' }).catch((thrown: unknown) => thrown);
    expect(refusal).toBeInstanceOf(Fault);
    expect(refusal).toMatchObject({
      kind: 'broken',
      message: expect.stringMatching(/does not know tlh; it knows a[a-z_A]+, /) as string,
    });
  });

  test('says what to pull when the model is not there', async () => {
    await expect(load({ model: '/nowhere' })).rejects.toThrow(
      /no \/nowhere\/sentencepiece.bpe.model; livedub models pull/,
    );
  });
});

test('NLLB’s weights are marked as not for profit, M2M100’s are not', () => {
  expect([NLLB_CARD.terms, NLLB_CARD.licence, M2M100_CARD.terms]).toEqual([
    'non-commercial',
    'CC-BY-NC-4.0',
    undefined,
  ]);
});
