import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../gateway/root.ts';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { apertium } from '../../models/translate/apertium.ts';
import { missed, termsIn } from '../../models/translate/glossary.ts';
import { llmTranslator } from '../../models/translate/llm-translator.ts';
import { fieldsOf, floatOf } from '../../models/translate/protobuf.ts';
import { networkSettings } from '../../models/runtime/runtime-settings.ts';
import { SentencePiece } from '../../models/translate/sentencepiece.ts';
import { Seq2Seq } from '../../models/translate/seq2seq.ts';
import { budgetOf } from '../../models/translate/syllable-budget.ts';
import { syllables } from '../../models/translate/syllables.ts';
import type { Language } from '../../pipeline/domain.ts';
import { sentences } from '../../test/engines/sentences.ts';
import { TALKATIVE, llmServer } from '../../test/fakes/llm-server.ts';
import { translatedBy, utterance } from '../../test/fakes/utterances.ts';
import type { Bench, Figure, Measurement } from './figure.ts';

const [en, es] = ['en' as Language, 'es' as Language];
const fixtures = join(root, 'test/fixtures');
const json = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));

const figure = (engine: string, clip: string, metric: string, unit: string, value: number, better: Figure['better']) =>
  ({ stage: 'translator', engine, clip, metric, unit, value, better }) satisfies Figure;

/** What Apertium takes for a line when it is alone, and how many words it leaves as they are. */
async function ofApertium(scope: Scope): Promise<Figure[]> {
  const stage = await apertium.load(apertium.config.parse({ to: 'es' }), scope);
  const clock = new MonotonicClock();
  const spans: number[] = [];
  for (let round = 0; round < 4; round += 1) {
    for (const [n, text] of sentences.entries()) {
      const begun = clock.now();
      await translatedBy(stage, [utterance(text, n)]);
      if (round > 0) spans.push((clock.now() - begun) / 1_000);
    }
  }
  spans.sort((a, b) => a - b);
  const at = (share: number) => spans[Math.floor(share * (spans.length - 1))] ?? 0;
  const clip = `${sentences.length} sentences, three times`;
  return [
    figure('apertium en→es', clip, 'time for a line, median', 'ms', at(0.5), 'lower'),
    figure('apertium en→es', clip, 'time for a line, 95th percentile', 'ms', at(0.95), 'lower'),
  ];
}

const GLOSSARY = { boat: 'barco', harbour: 'puerto', Livedub: 'keep', river: 'río', bridge: 'puente' };
const LINES = 200;

/** How many lines keep their budget and say their terms, behind a scripted model that talks too much and forgets. */
async function ofLlm(scope: Scope): Promise<Figure[]> {
  const words = Object.keys(GLOSSARY);
  const said = Array.from({ length: LINES }, (_, n) => {
    const text = sentences[n % sentences.length] ?? '';
    return n % 2 === 0 ? text : `the ${words[n % words.length]} and ${text}`;
  });
  const spoken = said.map((text, n) => utterance(text, n, { length: Math.max(1, text.split(' ').length / 2.6) }));
  const server = await llmServer(TALKATIVE, scope);
  const settings = llmTranslator.config.parse({ to: 'es', baseUrl: server.baseUrl, glossary: GLOSSARY });
  const { lines } = await translatedBy(await llmTranslator.load(settings, scope), spoken);

  const within = (text: string, n: number) => {
    const line = spoken[n];
    return line !== undefined && syllables(text, es) <= budgetOf(line, syllables(line.text, en), en, es).most;
  };
  const kept = lines.filter(({ text }, n) => within(text, n)).length;
  const first = server.asked.filter(({ correction }) => correction === undefined).length;
  const complaints = server.asked.filter(({ correction }) => correction?.too_long).length;
  const terms = spoken.map(({ text }) => termsIn(text, GLOSSARY));
  const asked = terms.flat().length;
  const lost = terms.reduce((sum, some, n) => sum + missed(some, lines[n]?.text ?? '').length, 0);
  const engine = 'openai, scripted model';
  const clip = `${LINES} lines`;
  return [
    {
      ...figure(engine, clip, 'lines within their budget of syllables', '%', (100 * kept) / lines.length, 'higher'),
      reference: { name: 'first answers alone', value: (100 * (first - complaints)) / first },
    },
    figure(engine, clip, 'terminology hit rate', '%', (100 * (asked - lost)) / asked, 'higher'),
    figure(engine, clip, 'requests for a line', '', server.asked.length / lines.length, 'lower'),
  ];
}

/** How many lines are cut into the pieces SentencePiece cuts them into, by us and by transformers.js. */
async function ofTokenizer(models: string): Promise<Figure[]> {
  const folder = join(models, 'tokenizers/opus-mt-fr-en');
  const lines = json(join(fixtures, 'sentencepiece/opus-mt-fr-en.json')) as [text: string, pieces: string[]][];
  const vocabulary = json(join(folder, 'vocab.json')) as Record<string, number>;
  const names = Object.entries(vocabulary).sort((a, b) => a[1] - b[1]);
  const ids = (pieces: readonly string[]) => pieces.map((piece) => vocabulary[piece] ?? vocabulary['<unk>'] ?? -1);
  const same = (made: (text: string) => readonly number[]) =>
    (100 * lines.filter(([text, pieces]) => made(text).join() === ids(pieces).join()).length) / lines.length;

  const ours = SentencePiece.read(join(folder, 'source.spm'));
  const theirs = mkdtempSync(join(tmpdir(), 'livedub-bench-'));
  try {
    // As the models published for transformers.js have it: both tokenizers' pieces in one, without rewriting rules.
    const scores = new Map<string, number>();
    for (const name of ['source.spm', 'target.spm']) {
      for (const { number, bytes } of fieldsOf(readFileSync(join(folder, name)))) {
        if (number !== 1) continue;
        const [text, score] = [...fieldsOf(bytes)];
        const piece = Buffer.from(text?.bytes ?? []).toString();
        scores.set(piece, Math.max(scores.get(piece) ?? -100, score ? floatOf(score) : 0));
      }
    }
    const special = ['</s>', '<unk>', '<pad>'];
    const metaspace = { type: 'Metaspace', replacement: '▁', add_prefix_space: true };
    const tokenizer = {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: special.map((content) => ({ id: vocabulary[content], content, special: true, normalized: false })),
      normalizer: { type: 'Precompiled', precompiled_charsmap: null },
      pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'WhitespaceSplit' }, metaspace] },
      post_processor: null,
      decoder: metaspace,
      model: {
        type: 'Unigram',
        unk_id: vocabulary['<unk>'],
        vocab: names.map(([piece]) => [piece, special.includes(piece) ? 0 : (scores.get(piece) ?? -100)]),
      },
    };
    writeFileSync(join(theirs, 'tokenizer.json'), JSON.stringify(tokenizer));
    writeFileSync(join(theirs, 'tokenizer_config.json'), readFileSync(join(folder, 'tokenizer_config.json')));
    const { AutoTokenizer, env } = await import('@huggingface/transformers');
    env.allowRemoteModels = false;
    env.logLevel = 50;
    const library = await AutoTokenizer.from_pretrained(theirs, { local_files_only: true });
    const metric = 'lines with SentencePiece’s tokens';
    return [
      {
        ...figure(
          'opus-mt fr→en tokenizer',
          `${lines.length} lines`,
          metric,
          '%',
          same((text) => ids(ours.encode(text))),
          'higher',
        ),
        reference: {
          name: 'transformers.js',
          value: same((text) => library.encode(text, { add_special_tokens: false })),
        },
      },
    ];
  } finally {
    rmSync(theirs, { recursive: true, force: true });
  }
}

/** How many sentences come out token for token as from Transformers (Python), on tiny random weights. */
async function ofNetworks(scope: Scope): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const name of ['opus-mt', 'm2m100', 'nllb']) {
    const folder = join(fixtures, name);
    const runtime = networkSettings.parse({});
    const network = await Seq2Seq.open(folder, name, { weights: 'whole', runtime }, scope);
    const { sentences: asked, languages } = json(join(folder, 'reference.json')) as {
      languages?: { es: number };
      sentences: { ids: number[]; greedy: number[]; beam: number[] }[];
    };
    const opening = languages ? [languages.es] : [];
    let alike = 0;
    for (const { ids, greedy, beam } of asked) {
      for (const [beams, expected] of [
        [1, greedy],
        [4, beam],
      ] as const) {
        const search = network.search({ beams, earlyStopping: false });
        const { tokens } = await network.translate(ids, opening, search, () => {});
        if (tokens.join() === expected.join()) alike += 1;
      }
    }
    const metric = 'answers equal to Transformers’ token for token';
    const clip = `${2 * asked.length} answers of tiny random weights`;
    figures.push(figure(name, clip, metric, '%', (100 * alike) / (2 * asked.length), 'higher'));
  }
  return figures;
}

/**
 * Translators: Apertium's speed, what a language model makes of budgets and terms, and whether the local networks do what
 * their reference does. There are no real weights of them here, so their speed and quality are not told.
 */
export const translator: Measurement = {
  name: 'translator',
  async measure({ models, progress }: Bench) {
    const scope = new Scope('bench translator');
    const parts: [what: string, lacking: string | undefined, measure: () => Promise<Figure[]>][] = [
      ['apertium', apertium.needs.find((need) => !need.present())?.install, () => ofApertium(scope)],
      ['openai, scripted model', undefined, () => ofLlm(scope)],
      [
        'opus-mt tokenizer',
        existsSync(join(models, 'tokenizers/opus-mt-fr-en')) ? undefined : 'no tokenizers/opus-mt-fr-en',
        () => ofTokenizer(models),
      ],
      ['opus-mt, m2m100, nllb on tiny random weights', undefined, () => ofNetworks(scope)],
    ];
    const figures: Figure[] = [];
    try {
      for (const [n, [what, lacking, measure]] of parts.entries()) {
        progress(n, parts.length, lacking === undefined ? what : `${what} left out: ${lacking}`);
        if (lacking === undefined) figures.push(...(await measure()));
      }
      progress(parts.length, parts.length, 'done');
      return figures;
    } finally {
      await scope.close();
    }
  },
};
