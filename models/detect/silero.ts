import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { type MediaTime, at, ms } from '../../media/time.ts';
import type { Activity } from '../../pipeline/domain.ts';
import { until } from '../../pipeline/until.ts';
import { defineEngine } from '../engine.ts';
import { type Frame, Frames } from '../dsp/frames.ts';
import { openOnnx } from '../runtime/onnx.ts';
import { type Network, type Tensor, floats } from '../runtime/tensor.ts';

/** The network hears 512 new samples at a time, behind the last 64 of what it heard before. */
const FRAME = 512;
const CONTEXT = 64;
const RATE = 16_000;
const STATE = [2, 1, 128];
const RATE_TENSOR: Tensor = { data: BigInt64Array.of(BigInt(RATE)), dims: [] };

/** The model files travel in the npm package of a browser VAD; nothing of its code is used. */
const PACKAGE = '@ricky0123/vad-web';
function fileOf(version: 'v5' | 'v6'): string | undefined {
  try {
    const root = dirname(createRequire(import.meta.url).resolve(`${PACKAGE}/package.json`));
    const file = join(root, 'dist', `silero_vad_${version}.onnx`);
    return existsSync(file) ? file : undefined;
  } catch {
    return undefined;
  }
}

/** The memory of one stream: the recurrent state and the samples before the frame. */
class Listener {
  readonly #network: Network;
  readonly #heard = new Float32Array(CONTEXT + FRAME);
  #state: Tensor = floats(new Float32Array(256), STATE);

  constructor(network: Network) {
    this.#network = network;
  }

  async hear({ pcm, fresh }: Frame): Promise<number> {
    if (fresh) {
      this.#heard.fill(0);
      this.#state = floats(new Float32Array(256), STATE);
    }
    this.#heard.copyWithin(0, FRAME);
    this.#heard.set(pcm, CONTEXT);
    const input = floats(this.#heard, [1, CONTEXT + FRAME]);
    const { output, stateN } = await this.#network.run({ input, state: this.#state, sr: RATE_TENSOR });
    if (!output || !stateN) throw new TypeError('Cannot use this Silero model: it has no output and stateN');
    this.#state = stateN;
    return Number(output.data[0]);
  }
}

/**
 * Silero VAD: how likely speech is, every 32 ms, by a small recurrent network.
 *
 * @see https://github.com/snakers4/silero-vad
 */
export const silero = defineEngine({
  kind: 'vad',
  id: 'silero',
  host: 'thread',
  summary: 'Silero voice activity detection: a recurrent network, a probability every 32 ms.',
  licence: 'MIT',
  needs: [{ install: `npm package ${PACKAGE}`, present: () => fileOf('v6') !== undefined }],
  config: z.strictObject({
    version: z.enum(['v5', 'v6']).default('v6').describe('Which generation of the weights.'),
  }),
  async load({ version }, scope) {
    const file = fileOf(version);
    if (file === undefined) throw new Error(`Cannot load Silero ${version}: install the npm package ${PACKAGE}`);
    const network = await openOnnx(file, scope);
    return {
      kind: 'vad',
      engine: `silero ${version}`,
      caps: { rate: RATE, lookahead: ms(32) },
      async *run(input, { signal }) {
        const frames = new Frames(FRAME, RATE);
        const listener = new Listener(network);
        let edge: MediaTime | undefined;
        const judge = async function* (some: Iterable<Frame>): AsyncGenerator<Activity> {
          for (const frame of some) {
            const from = edge ?? frame.start;
            const probability = await listener.hear(frame);
            // Nobody is heard speaking in audio that was lost; audio that comes twice is told once.
            if (frame.start > from) yield { start: from, end: frame.start, probability: 0 };
            const start = at(Math.max(from, frame.start));
            if (frame.end > start) yield { start, end: frame.end, probability };
            edge = at(Math.max(start, frame.end));
          }
        };
        for await (const chunk of until(input, signal)) yield* judge(frames.push(chunk));
        if (!signal.aborted) yield* judge(frames.end());
      },
    };
  },
});
