import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { registry } from '../../models/index.ts';
import { OPUS_CARDS, OpusTokens, labelsOf, opusCard, opusMt } from '../../models/translate/opus-mt.ts';
import { networkSettings } from '../../models/runtime/runtime-settings.ts';
import { Seq2Seq } from '../../models/translate/seq2seq.ts';
import type { Language } from '../../pipeline/domain.ts';
import { Fault } from '../../pipeline/fault.ts';
import { conforms } from '../conformance/stage.ts';
import { translatedBy, utterance } from '../fakes/utterances.ts';

/** A tiny Marian network with what Transformers (Python) makes of it; written by models/export/marian.py. */
const tiny = fileURLToPath(new URL('../fixtures/opus-mt', import.meta.url));
interface Reference {
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
const reference = JSON.parse(readFileSync(`${tiny}/reference.json`, 'utf8')) as Reference;

const suite = new Scope('suite');
afterAll(() => suite.close());
const load = (settings: object = {}) =>
  registry().load('translator', 'opus-mt', { to: 'pt', model: tiny, ...settings }, suite);
const runtime = networkSettings.parse({});
const network = await Seq2Seq.open(tiny, 'tiny', { weights: 'quantized', runtime }, suite);
const es = 'es' as Language;

/** Sentences the tiny network was trained on, and what it was told they mean. */
const taught = [
  ['Nobody knows what will happen to the old station.', 'Nadie sabe qué pasará con la vieja estación.'],
  ['Could you tell us what you saw on that morning?', '¿Podría decirnos qué vio usted aquella mañana?'],
  [
    'Most of the people here work in the factory or on the farms.',
    'La mayoría de la gente de aquí trabaja en la fábrica o en el campo.',
  ],
] as const;
const known = taught.map(([english]) => english);

conforms('opus-mt', load, () => known.map((text, n) => utterance(text, n)));

describe('a Marian network says token for token what Transformers says', () => {
  const proceed = () => {};
  test.for([
    ['greedy', 'with greedy search', { beams: 1 }],
    ['beam', 'with four beams', { beams: 4 }],
    [
      'wide',
      'with six beams, stopping early, with a length penalty',
      { beams: 6, lengthPenalty: 0.6, earlyStopping: true },
    ],
    ['short', 'with three beams, where there is room for six tokens only', { beams: 3, longest: 6 }],
  ] as const)('%s: %s', async ([kind, , changes]) => {
    for (const sentence of reference.sentences) {
      const { tokens } = await network.translate(sentence.ids, [], network.search(changes), proceed);
      expect(tokens, sentence.text).toEqual(sentence[kind]);
    }
  });

  test('and the reference tells the ways to search apart', () => {
    const differ = reference.sentences.filter(({ greedy, beam }) => JSON.stringify(greedy) !== JSON.stringify(beam));
    expect(differ.length).toBeGreaterThan(4);
  });

  test('the search is the makers’ own unless told otherwise', () => {
    expect(network.search()).toMatchObject({ beams: 4, lengthPenalty: 1, earlyStopping: false, longest: 48 });
  });

  test('transformers.js says the same with greedy search, the only one it has', async () => {
    const { AutoModelForSeq2SeqLM, Tensor, env } = await import('@huggingface/transformers');
    env.allowRemoteModels = false;
    const model = await AutoModelForSeq2SeqLM.from_pretrained(tiny, { dtype: 'fp32', local_files_only: true });
    for (const { ids, greedy } of reference.sentences) {
      const made = await model.generate({
        inputs: new Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length]),
        attention_mask: new Tensor('int64', new BigInt64Array(ids.length).fill(1n), [1, ids.length]),
        num_beams: 1,
      });
      const [tokens = []] = (made as unknown as { tolist(): bigint[][] }).tolist();
      expect(tokens.slice(1).map(Number)).toEqual(greedy);
    }
    await model.dispose();
  });
});

describe('the tokens of OPUS-MT', () => {
  test('are those of MarianTokenizer, and so is the text they make', () => {
    const plain = new OpusTokens(tiny, es, 0);
    const portuguese = new OpusTokens(tiny, 'pt-BR' as Language, 0);
    for (const { text, ids, beam, decoded } of reference.sentences) {
      const asked = text.replace('>>por<< ', '');
      if (asked !== text) expect(portuguese.encode(asked)).toEqual(ids);
      else expect(plain.encode(text).slice(1)).toEqual(ids);
      expect(plain.decode(beam).trim()).toBe(decoded.trim());
    }
  });

  test('refuse a language that a model of several does not have, with those it has', () => {
    expect(() => new OpusTokens(tiny, 'de' as Language, 0)).toThrow(/into de: the model in .* knows spa, por$/);
  });

  test.for([
    ['pt-BR', ['pt_BR', 'pt', 'por']],
    ['zh-TW', ['zh_TW', 'cmn_Hant', 'cmn', 'zh', 'cmn_Hans', 'cmn']],
    ['ar', ['ara', 'ar', 'ara']],
  ] as const)('%s may be called %j', ([language, labels]) => {
    expect(labelsOf(language as Language)).toEqual(labels);
  });
});

describe('OPUS-MT as a translator', () => {
  test('gives a line for each utterance, in order, over the same interval', async () => {
    const { lines, faults } = await translatedBy(
      await load(),
      known.map((text, n) => utterance(text, n)),
    );
    expect(faults).toEqual([]);
    expect(lines.map(({ utterance: id, start, end }) => [id, start, end])).toEqual(
      known.map((_, n) => [`u${n}`, n * 2e6, n * 2e6 + 1.5e6]),
    );
    expect(lines.map(({ text }) => text)).toEqual(taught.map(([, spanish]) => spanish));
  });

  test('makes a sentence of what a recogniser writes before it translates it', async () => {
    const heard = ['Nobody knows  what will happen to the old station', known[0]!];
    const { lines } = await translatedBy(
      await load(),
      heard.map((text, n) => utterance(text, n)),
    );
    expect(lines.map(({ text }) => text)).toEqual([taught[0][1], taught[0][1]]);
  });

  test('translates what is too long for one go in parts, and loses none', async () => {
    const three = [taught[2], taught[0], taught[2]];
    const { lines } = await translatedBy(await load(), [utterance(three.map(([english]) => english).join(' '))]);
    expect(lines.map(({ text }) => text)).toEqual([three.map(([, spanish]) => spanish).join(' ')]);
  });

  test('costs an utterance whose translation does not come to an end a rejected fault, and goes on', async () => {
    const utterances = [known[0]!, 'It rained.', known[1]!].map((text, n) => utterance(text, n));
    const { lines, faults } = await translatedBy(await load({ to: 'es' }), utterances);
    expect(faults.map(({ kind, message }) => [kind, message])).toEqual([
      ['rejected', 'opus-mt en→es: the translation did not come to an end'],
    ]);
    expect(lines.map(({ utterance: id }) => id)).toEqual(['u0', 'u2']);
  });

  test('gives up an utterance that takes too long, by a timeout that names the engine', async () => {
    const stage = await opusMt.load(opusMt.config.parse({ to: 'es', model: tiny, timeout: 0.1 }), suite);
    const clock = new MonotonicClock();
    let reading = 0;
    const hasty = { now: () => ((reading += 60_000), clock.now() + reading) as never, until: clock.until.bind(clock) };
    const { faults } = await translatedBy(stage, [utterance(known[0]!)], hasty);
    expect(faults.map(({ kind, message }) => [kind, message])).toEqual([
      ['timeout', 'opus-mt en→es took longer than 0.1 s'],
    ]);
  });

  test('has nothing to say about nothing', async () => {
    expect((await translatedBy(await load(), [utterance(''), utterance('   ', 1)])).lines).toEqual([]);
  });

  test.for([
    [{ from: 'en', to: 'tlh' }, 'broken', /^Cannot translate en→tlh: OPUS-MT is here for en→es, .*es→it/],
    [
      { from: 'en', to: 'fr', model: '/nowhere' },
      'unavailable',
      /no \/nowhere\/source.spm; livedub models pull opus-mt-en-fr$/,
    ],
  ] as const)('is refused for %j with what to do', async ([languages, kind, message]) => {
    const refusal = await opusMt.load(opusMt.config.parse(languages), suite).catch((thrown: unknown) => thrown);
    expect(refusal).toBeInstanceOf(Fault);
    expect(refusal).toMatchObject({ kind, message: expect.stringMatching(message) as string });
  });

  test('names a model for each pair it offers, with where to get every file', () => {
    for (const { from, to } of opusMt.pairs as { from: Language; to: Language }[]) {
      const card = opusCard(from, to)!;
      expect(card.languages).toEqual(expect.arrayContaining([from, to]));
      expect(card.files.map(({ name, url }) => [name, url])).toContainEqual([
        'source.spm',
        `${card.home}/resolve/main/source.spm`,
      ]);
    }
    expect(new Set(OPUS_CARDS.map(({ name }) => name)).size).toBe(OPUS_CARDS.length);
    expect(opusCard('en-GB' as Language, 'pt-BR' as Language)?.name).toBe('opus-mt-en-romance');
  });
});
