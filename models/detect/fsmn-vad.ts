import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Interval } from '../../media/time.ts';
import { ms } from '../../media/time.ts';
import type { Activity } from '../../pipeline/domain.ts';
import { until } from '../../pipeline/until.ts';
import { ActivityLine } from './activity-line.ts';
import { defineEngine } from '../engine.ts';
import { type Frame, Frames } from '../dsp/frames.ts';
import { KaldiFbank } from '../dsp/kaldi-fbank.ts';
import { type ModelPlace, modelFile, openModelFile, wrongFile } from '../store/model-file.ts';
import { type Network, type Tensor, floats, floatsOf } from '../runtime/tensor.ts';
import { type ModelCard, needsModel } from '../store/weights.ts';

const RATE = 16_000;
const FRAME = 160;
const BANDS = 80;
/** The network hears a frame with the two before and the two after it. */
const BESIDE = 2;
const FEATURES = (2 * BESIDE + 1) * BANDS;
/** What its layers remember: 19 frames of 128 numbers each. */
const MEMORY = [1, 128, 19, 1];
const LAYERS = 4;
/** Of the classes it tells apart, the one that stands for silence. */
const SILENCE = 0;

const NETWORK = 'fsmnvad-online.onnx';
const SCALES = 'am.mvn';
const URL =
  'https://raw.githubusercontent.com/lovemefan/fsmn-vad/7bb4811a628e29f4645fae15fc9106b2932d089e/fsmnvad/runtime/onnx/vad/onnx';
export const FSMN_VAD: ModelCard = {
  name: 'fsmn-vad',
  summary: 'FunASR’s voice activity detector for 16 kHz, an FSMN trained on Mandarin and English.',
  home: 'https://github.com/lovemefan/fsmn-vad',
  licence: 'LicenseRef-FunASR-model',
  languages: 'any',
  device: 'cpu',
  speed: 'real-time factor 0.02 on one CPU core',
  files: [
    {
      name: NETWORK,
      url: `${URL}/${NETWORK}`,
      bytes: 1_723_188,
      sha256: '3b10ac401cf3e73290d3734c22ac328f485697008f183a54e2ae2cbef6a4a1e4',
    },
    {
      name: SCALES,
      url: `${URL}/${SCALES}`,
      bytes: 8_033,
      sha256: 'df189fd5f4352df84a0fd464eeab4e450a5e645665d6b38f13c832492261a739',
    },
  ],
};

/** What features are shifted by and then multiplied with. */
interface Scales {
  readonly shift: Float32Array;
  readonly gain: Float32Array;
}
/** Reads Kaldi's text format of two layers, `AddShift` and `Rescale`, each with its numbers in brackets. */
function readScales(place: ModelPlace): Scales {
  const file = modelFile(place, SCALES);
  const [shift, gain] = [...readFileSync(file, 'utf8').matchAll(/<LearnRateCoef>[^[]*\[([^\]]*)\]/g)].map(
    ([, numbers = '']) => Float32Array.from(numbers.trim().split(/\s+/), Number),
  );
  const whole = (numbers: Float32Array | undefined) =>
    numbers?.length === FEATURES && numbers.every((x) => Number.isFinite(x));
  if (shift && gain && whole(shift) && whole(gain)) return { shift, gain };
  throw wrongFile(place, file, `it does not hold two rows of ${FEATURES} numbers`);
}

/** Features of one stretch of audio, as the network expects them. */
export class FsmnFeatures {
  readonly #scales: Scales;
  readonly #bank = new KaldiFbank({ window: 'hamming', bands: BANDS });
  /** The rows around the next one to give out; the first and the last of a stretch stand in for what lies outside. */
  #rows: Float32Array[] = [];

  constructor(scales: Scales) {
    this.#scales = scales;
  }

  push(pcm: Float32Array): Float32Array[] {
    return this.#bank.push(pcm).flatMap((row) => this.#splice(row));
  }
  end(): Float32Array[] {
    const last = this.#rows.at(-1);
    return last ? Array.from({ length: BESIDE }, () => this.#splice(last)).flat() : [];
  }

  #splice(row: Float32Array): Float32Array[] {
    if (this.#rows.length === 0) for (let n = 0; n < BESIDE; n += 1) this.#rows.push(row);
    this.#rows.push(row);
    if (this.#rows.length < 2 * BESIDE + 1) return [];
    const features = new Float32Array(FEATURES);
    for (const [n, each] of this.#rows.entries()) features.set(each, n * BANDS);
    const { shift, gain } = this.#scales;
    for (let i = 0; i < FEATURES; i += 1) features[i] = (features[i]! + shift[i]!) * gain[i]!;
    this.#rows.shift();
    return [features];
  }
}

/** The network with the memory of one stretch of audio. */
class Listener {
  readonly #network: Network;
  readonly #features: FsmnFeatures;
  #memory: Tensor[] = Array.from({ length: LAYERS }, () =>
    floats(new Float32Array(MEMORY.reduce((size, dim) => size * dim)), MEMORY),
  );
  /** Frames whose features have not come yet. */
  readonly #waiting: Interval[] = [];
  #latest = 0;

  constructor(network: Network, scales: Scales) {
    this.#network = network;
    this.#features = new FsmnFeatures(scales);
  }

  /** What can be said once these frames are heard. */
  async *hear(frames: readonly Frame[]): AsyncGenerator<[Interval, number]> {
    const features = frames.flatMap(({ start, end, pcm, count }) => {
      this.#waiting.push({ start, end });
      return this.#features.push(pcm.subarray(0, count));
    });
    yield* this.#judge(features);
  }
  /** What is left to say. The last frames have no features of their own: their window would end past the audio. */
  async *end(): AsyncGenerator<[Interval, number]> {
    yield* this.#judge(this.#features.end());
    for (const place of this.#waiting.splice(0)) yield [place, this.#latest];
  }

  async *#judge(features: readonly Float32Array[]): AsyncGenerator<[Interval, number]> {
    if (features.length === 0) return;
    const data = new Float32Array(features.length * FEATURES);
    for (const [n, each] of features.entries()) data.set(each, n * FEATURES);
    const inputs: Record<string, Tensor> = { speech: floats(data, [1, features.length, FEATURES]) };
    for (const [n, memory] of this.#memory.entries()) inputs[`in_cache${n}`] = memory;
    const made = await this.#network.run(inputs);
    this.#memory = this.#memory.map((memory, n) => made[`out_cache${n}`] ?? memory);
    const scores = floatsOf(made['logits'], 'logits');
    const classes = scores.length / features.length;
    for (let n = 0; n < features.length; n += 1) {
      this.#latest = Math.min(1, Math.max(0, 1 - scores[n * classes + SILENCE]!));
      const place = this.#waiting.shift();
      if (place) yield [place, this.#latest];
    }
  }
}

/**
 * FSMN-VAD: how likely speech is, every 10 ms, by a feed-forward network with memory; FunASR's detector.
 *
 * @see S. Zhang et al., "Deep-FSMN for Large Vocabulary Continuous Speech Recognition", ICASSP 2018
 * @see https://github.com/lovemefan/fsmn-vad/blob/main/fsmnvad/runtime/src/utils/WavFrontend.py
 */
export const fsmnVad = defineEngine({
  kind: 'vad',
  id: 'fsmn-vad',
  host: 'thread',
  summary: 'FSMN voice activity detection of FunASR: a probability every 10 ms, 50 ms late.',
  licence: 'MIT AND LicenseRef-FunASR-model',
  needs: [needsModel(FSMN_VAD)],
  models: [FSMN_VAD],
  config: z.strictObject({
    model: z
      .string()
      .min(1)
      .optional()
      .describe(`Directory with ${NETWORK} and ${SCALES}, instead of the model store.`),
  }),
  async load({ model }, scope) {
    const place: ModelPlace = { stage: 'vad', card: FSMN_VAD, model };
    const scales = readScales(place);
    const network = await openModelFile(place, NETWORK, ['speech', 'in_cache0', 'in_cache3'], scope);
    return {
      kind: 'vad',
      engine: 'fsmn-vad',
      // Two frames ahead and a window of 25 ms, of audio that is cut every 10 ms.
      caps: { rate: RATE, lookahead: ms(50) },
      async *run(input, { signal }) {
        const frames = new Frames(FRAME, RATE);
        const line = new ActivityLine();
        let listener: Listener | undefined;
        const tell = async function* (some: AsyncIterable<[Interval, number]> | undefined): AsyncGenerator<Activity> {
          for await (const [place, probability] of some ?? []) yield* line.tell(place, probability);
        };
        const judge = async function* (some: Iterable<Frame>): AsyncGenerator<Activity> {
          let together: Frame[] = [];
          for (const frame of some) {
            if (frame.fresh) {
              yield* tell(listener?.hear(together));
              yield* tell(listener?.end());
              [listener, together] = [new Listener(network, scales), []];
            }
            together.push({ ...frame, pcm: frame.pcm.slice() });
          }
          yield* tell(listener?.hear(together));
        };
        for await (const chunk of until(input, signal)) yield* judge(frames.push(chunk));
        if (signal.aborted) return;
        yield* judge(frames.end());
        yield* tell(listener?.end());
      },
    };
  },
});
