import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Scope } from '../../media/scope.ts';
import { cosine } from '../../models/speakers/embedding.ts';
import { Wq2012 } from '../../models/speakers/embedding-wq2012.ts';
import { openOnnx } from '../../models/runtime/onnx.ts';
import { pyannote } from '../../models/speakers/pyannote.ts';
import { ReferenceVoices, speechToNoise } from '../../pipeline/reference-voice.ts';
import type { Turn } from '../../pipeline/domain.ts';
import { diarizationError } from '../metrics/der.ts';
import { type Conversation, readersIn, recorded, speechOf, taking } from './conversations.ts';
import { spokesOf, turnsOf } from './diarizer.ts';
import type { Bench, Figure, Measurement } from './figure.ts';
import { decode } from './stage-run.ts';

const RATE = 16_000;
/** Real noise: what is left of a noisy recording when the clean one is taken from it. */
const [NOISY, CLEAN] = ['se/dfn_noisy_snr0.wav', 'se/dfn_clean.wav'];
/** How far the readers stand out of it, dB. */
const RATIO = 20;

/** Two readers who take turns for two minutes, in real noise. */
function noisy(media: string): Conversation | undefined {
  const readers = readersIn(media).slice(3, 5);
  if (readers.length < 2 || !existsSync(join(media, NOISY))) return undefined;
  const clear = taking(media, 'two readers in noise', readers, 7_777, 120);
  const [mixed, clean] = [decode(join(media, NOISY), RATE), decode(join(media, CLEAN), RATE)];
  const noise = mixed.subarray(0, clean.length).map((x, i) => x - clean[i]!);
  const power = (pcm: Float32Array) => pcm.reduce((sum, x) => sum + x * x, 0) / pcm.length;
  const gain = Math.sqrt(power(clear.pcm) / power(noise)) * 10 ** (-RATIO / 20);
  return { ...clear, pcm: clear.pcm.map((x, i) => x + gain * noise[i % noise.length]!) };
}

/** How much of a sound was said by whom: every passage of it is looked for in the recording. */
function purity(pcm: Float32Array, conversation: Conversation, person: string | undefined): number {
  let [right, all] = [0, 0];
  const { pcm: whole, truth } = conversation;
  // Twenty milliseconds at a time: the same samples lie in the recording, and nowhere else.
  const places = new Map<number, number[]>();
  for (const [i, x] of whole.entries()) if (x !== 0) places.set(x, [...(places.get(x) ?? []), i]);
  for (let from = 160; from + 320 <= pcm.length; from += 320) {
    const at = places.get(pcm[from]!)?.find((place) => [1, 80, 200].every((n) => whole[place + n] === pcm[from + n]));
    if (at === undefined) continue;
    const speaking = truth
      .filter(({ start, end }) => at / RATE >= start && at / RATE < end)
      .map(({ speaker }) => speaker);
    if (speaking.length === 0) continue;
    all += 1;
    if (speaking.length === 1 && speaking[0] === person) right += 1;
  }
  return all > 0 ? right / all : 0;
}

/** How long, how clean and how pure the voices are that a programme yields to engines that clone. */
export const referenceVoice: Measurement = {
  name: 'reference-voice',
  async measure({ models, media, progress }: Bench) {
    const scope = new Scope('bench reference voice');
    const figures: Figure[] = [];
    try {
      const [model, embeddingModel] = [join(models, 'diar/pyannote-seg-3.0-int8'), join(models, 'spk/wq2012')];
      if (!existsSync(model) || !existsSync(embeddingModel)) {
        progress(1, 1, `left out: there is no ${model} or ${embeddingModel}`);
        return [];
      }
      const network = await openOnnx(join(embeddingModel, 'saved_model.bilstm.mean.all.gpu100000.onnx'), scope);
      const embedding = new Wq2012(network);
      const sample = recorded(media).find(({ name }) => name === 'sample');
      const clips = [noisy(media), sample].filter((each) => each !== undefined);
      for (const [done, conversation] of clips.entries()) {
        progress(done, clips.length, conversation.name);
        const speech = await speechOf(conversation.pcm, scope);
        const config = { model, embedding: 'wq2012', embeddingModel, maxSpeakers: 8 } as const;
        const { turns } = await turnsOf(await pyannote.load(config, scope), speech);
        // A telephone call of half a minute holds less than what is usually asked for.
        const references = new ReferenceVoices(conversation === sample ? { least: 3 } : {});
        const waiting: { turn: Turn; heard: number }[] = [...turns];
        for (const chunk of speech) {
          references.speech(chunk);
          const end = (chunk.start + (chunk.pcm.length * 1e6) / RATE) / 1e6;
          while (waiting[0] && waiting[0].heard <= end + 1e-6) references.turn(waiting.shift()!.turn);
        }
        references.settle();
        const heard = spokesOf(turns.map(({ turn }) => turn));
        const { mapping } = diarizationError(conversation.truth, heard);
        for (const speaker of new Set(turns.map(({ turn }) => turn.speaker))) {
          const reference = references.of(speaker);
          const person = mapping.get(speaker);
          if (!reference || person === undefined) continue;
          const figure = (metric: string, unit: string, value: number, better: Figure['better'] = 'higher') =>
            figures.push({
              stage: 'reference voice',
              engine: 'pyannote wq2012',
              clip: `${conversation.name}, ${person}`,
              metric,
              unit,
              value,
              better,
            });
          figure('duration', 's', reference.pcm.length / RATE);
          figure('SNR', 'dB', speechToNoise(reference.pcm, RATE));
          figure('purity', '%', 100 * purity(reference.pcm, conversation, person));
          const own = conversation.truth.filter((each) => each.speaker === person);
          const longest = own.toSorted((a, b) => b.end - b.start - (a.end - a.start))[0]!;
          const piece = conversation.pcm.subarray(longest.start * RATE, longest.end * RATE);
          const [a, b] = [await embedding.embed(reference.pcm), await embedding.embed(piece)];
          if (a && b) figure('speaker similarity (wq2012)', '', cosine(a, b));
        }
        references.close();
      }
    } finally {
      await scope.close();
    }
    return figures;
  },
};
