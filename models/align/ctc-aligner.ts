import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { type MediaTime, between, earliest, later, ms, sampleIndex, samples, seconds } from '../../media/time.ts';
import type { Alignment, Language, Spoken } from '../../pipeline/domain.ts';
import { until } from '../../pipeline/until.ts';
import { type Alphabet, logProbabilities, placeLetters } from './alignment-letters.ts';
import { type Sound, lastSettled } from './alignment-phones.ts';
import { spell } from './alignment-spelling.ts';
import { defineEngine } from '../engine.ts';
import { modelFile, openModelFile, wrongFile } from '../store/model-file.ts';
import { networkSettings } from '../runtime/runtime-settings.ts';
import { type Network, floats, floatsOf } from '../runtime/tensor.ts';
import { type ModelCard, needsModel } from '../store/weights.ts';

const RATE = 16_000;
const ENGLISH = 'en' as Language;
/** From one frame of the network to the next, and what a frame hears. */
const HOP = 320;
const FIELD = 400;
/** A word is settled when this much has been heard after it, in frames. */
const SETTLED = 40;
/** How much is heard before the network is run again, in samples. */
const EVERY = RATE;
/** What the network hears of what was settled before, in frames. */
const CONTEXT = 50;
/** What is not settled may be this long, in samples. */
const LONGEST = 30 * RATE;
const LONGEST_GAP = sampleIndex(seconds(10), RATE);

const HUB = 'https://huggingface.co/onnx-community/wav2vec2-base-960h-ONNX/resolve/main';
export const WAV2VEC2: ModelCard = {
  name: 'wav2vec2-base-960h',
  summary: 'wav2vec 2.0, trained on 960 hours of read English: letters every 20 ms.',
  home: 'https://huggingface.co/facebook/wav2vec2-base-960h',
  licence: 'Apache-2.0',
  languages: ['en'],
  device: 'gpu',
  files: [
    { name: 'onnx/model.onnx', url: `${HUB}/onnx/model.onnx` },
    { name: 'vocab.json', url: `${HUB}/vocab.json` },
  ],
};

/** Zero mean and unit variance, as the network was trained (`Wav2Vec2FeatureExtractor`, `do_normalize`). */
export function normalized(pcm: Float32Array): Float32Array {
  const mean = pcm.reduce((sum, sample) => sum + sample, 0) / pcm.length;
  const variance = pcm.reduce((sum, sample) => sum + (sample - mean) ** 2, 0) / pcm.length;
  const scale = 1 / Math.sqrt(variance + 1e-7);
  return pcm.map((sample) => (sample - mean) * scale);
}

/** The columns of a text's letters, in the case in which the network writes; nothing where it has none of them. */
class Letters {
  readonly alphabet: Alphabet;
  readonly #columns: ReadonlyMap<string, number>;
  readonly #lower: boolean;

  constructor(vocabulary: ReadonlyMap<string, number>) {
    this.#columns = vocabulary;
    this.#lower = vocabulary.has('e');
    const blank = vocabulary.get('<pad>') ?? vocabulary.get('<blank>') ?? vocabulary.get('-') ?? 0;
    this.alphabet = { blank, between: vocabulary.get('|'), size: Math.max(...vocabulary.values()) + 1 };
  }

  /** Every way to write a word; none for what is not said; nothing for what cannot be written. */
  write(word: string): readonly (readonly number[])[] | undefined {
    const ways = spell(word, (each) => /^[\p{L}']+$/u.test(each));
    if (!ways) return undefined;
    const written = ways
      .map((way) => way.flatMap((part) => [...part].flatMap((letter) => this.#column(letter) ?? [])))
      .filter((columns) => columns.length > 0);
    return ways.length > 0 && written.length === 0 ? undefined : written;
  }
  #column(letter: string): number | undefined {
    return this.#columns.get(this.#lower ? letter : letter.toUpperCase());
  }
}

interface Asked {
  readonly text: string;
  readonly ways: readonly (readonly number[])[];
}
/** What places an utterance, and how badly words may fit before they are refused. */
interface Means {
  readonly network: Network;
  readonly letters: Letters;
  readonly floor: number;
}

/** One utterance on its way through the network. */
class Passage {
  readonly utterance: Spoken['utterance'];
  readonly start: MediaTime;
  readonly #means: Means;
  /** Sound from frame `#origin` on, and the first frame of it that belongs to no settled word. */
  #pcm = new Float32Array(0);
  #origin = 0;
  #from = 0;
  #samples = 0;
  #asked: Asked[] = [];
  #placed: { readonly text: string; readonly start: number; readonly end: number }[] = [];
  #refused = false;
  #tried = 0;

  constructor({ utterance, start }: Spoken, means: Means) {
    this.utterance = utterance;
    this.start = start;
    this.#means = means;
  }

  /** Takes in a piece, and says what has been settled by it. */
  async hear({ start, pcm, text, last }: Spoken): Promise<Alignment | undefined> {
    const missing = sampleIndex(between(this.#end(), start), RATE);
    if (missing > RATE / 1_000) this.#listen(new Float32Array(Math.min(missing, LONGEST_GAP)));
    this.#listen(pcm);
    for (const word of text.split(/\s+/).filter(Boolean)) {
      const ways = this.#means.letters.write(word);
      if (!ways) this.#refused = true;
      this.#asked.push({ text: word, ways: ways ?? [] });
    }
    if (last || this.#refused || this.#asked.length < 2 || this.#samples - this.#tried < EVERY) return undefined;
    this.#tried = this.#samples;
    const hearing = await this.#place(true);
    if (!hearing || !this.#fits(hearing.misfit)) return undefined;
    const settled = lastSettled(hearing.sounds, Math.min(hearing.agreed, hearing.count - SETTLED));
    if (settled === undefined) return undefined;
    this.#accept(hearing.sounds, settled + 1);
    return this.#alignment(false);
  }

  /** The utterance is over. */
  async finish(): Promise<Alignment> {
    if (!this.#refused && this.#asked.some(({ ways }) => ways.length > 0)) {
      const hearing = await this.#place(false);
      // What has begun well is carried through.
      if (hearing && (this.#placed.length > 0 || this.#fits(hearing.misfit))) {
        this.#accept(hearing.sounds, this.#asked.length);
      }
    }
    if (this.#placed.length > 0) this.#share();
    return this.#alignment(true);
  }

  #listen(pcm: Float32Array): void {
    this.#samples += pcm.length;
    if (this.#refused) return;
    const joined = new Float32Array(this.#pcm.length + pcm.length);
    joined.set(this.#pcm);
    joined.set(pcm, this.#pcm.length);
    this.#pcm = joined;
    if (joined.length <= LONGEST) return;
    this.#refused = true;
    this.#pcm = new Float32Array(0);
  }
  async #place(open: boolean) {
    if (this.#pcm.length < FIELD) return undefined;
    const { network, letters } = this.#means;
    const input_values = floats(normalized(this.#pcm), [1, this.#pcm.length]);
    const { logits } = await network.run({ input_values }, { give: 'all' });
    const all = logProbabilities(floatsOf(logits, 'logits'), logits?.dims.at(-1) ?? 0);
    const frames = all.slice(this.#from - this.#origin);
    const ways = this.#asked.map((asked) => asked.ways);
    const hearing = placeLetters(frames, ways, letters.alphabet, { open, begun: this.#placed.length > 0 });
    return hearing && { ...hearing, count: frames.length };
  }
  #fits(misfit: Float32Array): boolean {
    const known = misfit.filter((each) => !Number.isNaN(each));
    return known.reduce((sum, each) => sum + each, 0) <= this.#means.floor * known.length;
  }

  /** Settles the first `count` words that were asked for. */
  #accept(sounds: readonly Sound[], count: number): void {
    let end = 0;
    for (const [n, { text }] of this.#asked.slice(0, count).entries()) {
      const own = sounds.filter(({ word }) => word === n);
      // What is not said lies between its neighbours and takes no time.
      const start = own[0]?.start ?? end;
      end = own.at(-1)?.end ?? end;
      this.#placed.push({ text, start: this.#from + start, end: this.#from + end });
    }
    this.#asked = this.#asked.slice(count);
    this.#from += end;
    const kept = Math.max(this.#origin, this.#from - CONTEXT);
    this.#pcm = this.#pcm.slice((kept - this.#origin) * HOP);
    this.#origin = kept;
  }
  /** Gives each word that is left a share of the time that is left, by its letters. */
  #share(): void {
    const first = this.#placed.at(-1)?.end ?? 0;
    const total = Math.max(0, Math.floor(this.#samples / HOP) - first);
    const sizes = this.#asked.map(({ ways }) => ways[0]?.length ?? 0);
    const all = Math.max(
      1,
      sizes.reduce((sum, size) => sum + size, 0),
    );
    let passed = 0;
    for (const [n, { text }] of this.#asked.entries()) {
      const start = first + Math.round((total * passed) / all);
      passed += sizes[n]!;
      this.#placed.push({ text, start, end: first + Math.round((total * passed) / all) });
    }
    this.#asked = [];
  }

  #alignment(final: boolean): Alignment {
    const end = this.#end();
    const at = (frame: number) => earliest(end, later(this.start, samples(frame * HOP, RATE)));
    const words = this.#placed.map((word) => ({ text: word.text, start: at(word.start), end: at(word.end) }));
    return { utterance: this.utterance, start: this.start, end, words, phones: [], final };
  }
  #end(): MediaTime {
    return later(this.start, samples(this.#samples, RATE));
  }
}

/**
 * Forced alignment of words by a network that writes letters (CTC): wav2vec 2.0.
 *
 * @see https://arxiv.org/abs/2006.11477 (Baevski et al., 2020)
 * @see https://docs.pytorch.org/audio/stable/tutorials/ctc_forced_alignment_api_tutorial.html
 */
export const ctcAligner = defineEngine({
  kind: 'aligner',
  id: 'ctc',
  host: 'thread',
  summary: 'Forced alignment of words by wav2vec 2.0 and CTC; wants a GPU.',
  licence: 'Apache-2.0',
  needs: [needsModel(WAV2VEC2)],
  models: [WAV2VEC2],
  languages: [ENGLISH],
  config: z.strictObject({
    model: z
      .string()
      .min(1)
      .optional()
      .describe('Directory with the network and vocab.json, instead of the model store.'),
    file: z.string().min(1).default('onnx/model.onnx').describe("The network's file in the directory."),
    floor: z
      .number()
      .min(0)
      .max(100)
      .default(3)
      .describe('Mean of minus the logarithm of how likely the letters are, above which a text is refused.'),
    runtime: networkSettings.prefault({}),
  }),
  async load({ model, file, floor, runtime }, scope) {
    const place = { stage: 'aligner', card: WAV2VEC2, model } as const;
    const list = modelFile(place, 'vocab.json');
    const parsed = z.record(z.string(), z.int().min(0)).safeParse(JSON.parse(readFileSync(list, 'utf8')));
    if (!parsed.success || Object.keys(parsed.data).length === 0) {
      throw wrongFile(place, list, 'it is no list of letters and their numbers');
    }
    const letters = new Letters(new Map(Object.entries(parsed.data)));
    const network = await openModelFile(place, file, ['input_values'], scope, { settings: runtime });
    const means: Means = { network, letters, floor };
    return {
      kind: 'aligner',
      engine: 'ctc wav2vec2',
      caps: { rate: RATE, lookahead: ms(800), languages: [ENGLISH], phones: 'none' },
      async *run(input, { signal }) {
        let passage: Passage | undefined;
        for await (const piece of until(input, signal)) {
          if (passage && passage.utterance !== piece.utterance) {
            // The rest of it, with its last piece, was lost on the way.
            yield await passage.finish();
            passage = undefined;
          }
          passage ??= new Passage(piece, means);
          const news = await passage.hear(piece);
          if (news) yield news;
          if (!piece.last) continue;
          yield await passage.finish();
          passage = undefined;
        }
        if (passage && !signal.aborted) yield await passage.finish();
      },
    };
  },
});
