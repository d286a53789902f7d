import { join } from 'node:path';
import type { Scope } from '../../media/scope.ts';
import { openOnnx } from '../runtime/onnx.ts';
import { type Tensor, floats } from '../runtime/tensor.ts';

/** The reader and one step of the writer, as `models/export/g2p_en.py` makes them of the published weights. */
export const G2P_FILES = { encoder: 'g2p_encoder.onnx', decoder: 'g2p_decoder_step.onnx' } as const;

/** Letters as the network numbers them (g2p_en, `g2p.py`), after padding, unknown and end. */
const LETTERS = ['<pad>', '<unk>', '</s>', ...'abcdefghijklmnopqrstuvwxyz'];
const VOWELS = 'AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW'.split(' ');
const SOUNDS =
  'AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH'.split(' ');
/** Sounds with their stress, as the network numbers them, after padding, unknown, start and end. */
const PHONES = [
  '<pad>',
  '<unk>',
  '<s>',
  '</s>',
  ...SOUNDS.flatMap((sound) => {
    if (!VOWELS.includes(sound)) return [sound];
    const stressed = [0, 1, 2].map((stress) => `${sound}${stress}`);
    return sound === 'UW' ? [sound, ...stressed] : stressed;
  }),
];
const START = 2;
const END = 3;
/** As many sounds as a word may have, as upstream. */
const LONGEST = 20;

const whole = (values: readonly number[], dims: readonly number[]): Tensor => ({
  data: BigInt64Array.from(values, BigInt),
  dims,
});

/** Says how a word is pronounced: ARPAbet without stress; nothing when it has no idea. */
export type Pronouncer = (word: string) => Promise<readonly string[]>;

/**
 * Pronounces by the network of g2p_en: it reads the letters and writes sounds one by one.
 *
 * @see https://github.com/Kyubyong/g2p, `g2p_en/g2p.py`
 */
export async function openG2p(folder: string, scope: Scope): Promise<Pronouncer> {
  const encoder = await openOnnx(join(folder, G2P_FILES.encoder), scope);
  const decoder = await openOnnx(join(folder, G2P_FILES.decoder), scope);
  return async (word) => {
    const letters = [...word.toLowerCase()].map((letter) => Math.max(1, LETTERS.indexOf(letter)));
    const graphemes = [...letters, LETTERS.indexOf('</s>')];
    let state = (await encoder.run({ graphemes: whole(graphemes, [1, graphemes.length]) }))['h'];
    const phones: string[] = [];
    for (let token = START; phones.length < LONGEST;) {
      if (!state) throw new TypeError(`Cannot use the pronouncing network in ${folder}: it has no h`);
      const step = await decoder.run({
        token: whole([token], [1]),
        h_in: floats(Float32Array.from(state.data, Number), [1, 256]),
      });
      const logits = step['logits']?.data;
      state = step['h_out'];
      if (!logits) throw new TypeError(`Cannot use the pronouncing network in ${folder}: it has no logits`);
      token = 0;
      for (let n = 1; n < logits.length; n += 1) if (logits[n]! > logits[token]!) token = n;
      if (token === END) break;
      const phone = PHONES[token] ?? '';
      if (/^[A-Z]/.test(phone)) phones.push(phone.replace(/\d$/, ''));
    }
    return phones;
  };
}
