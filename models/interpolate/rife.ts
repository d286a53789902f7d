import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { decodingOf, encodingOf, toRgb, toYuv } from '../../media/colour.ts';
import { at, between, ms } from '../../media/time.ts';
import type { VideoFrame } from '../../media/video-frame.ts';
import type { Pair } from '../../pipeline/face.ts';
import { Fault } from '../../pipeline/fault.ts';
import { until } from '../../pipeline/until.ts';
import { defineEngine } from '../engine.ts';
import { networkSettings } from '../runtime/runtime-settings.ts';
import { type Network, type Tensor, floats, floatsOf } from '../runtime/tensor.ts';
import { openModelFile } from '../store/model-file.ts';
import { type ModelCard, modelDirectory } from '../store/weights.ts';

const FILE = 'rife.onnx';
/** Sides of the pictures that go in are multiples of this. */
const GRID = 32;
/** How near to the wanted instant a middle of middles must be, in parts of the pair: upstream's `rthreshold` / 2. */
const NEAR = 0.01;
const DEEPEST = 6;

/** The weights lie on Google Drive, where nothing can be pulled from: the export script makes the network of what was fetched by hand. */
export const RIFE: ModelCard = {
  name: 'rife',
  summary: `RIFE: makes pictures between two; models/export/rife.py makes ${FILE} of flownet.pkl.`,
  home: 'https://github.com/hzwer/ECCV2022-RIFE',
  licence: 'MIT',
  languages: 'any',
  device: 'gpu',
  files: [],
};

/** A picture as the network takes it: red, green and blue, 0 … 1, filled up to multiples of {@link GRID} by what is at its edge. */
export function rgbOf({ width, height, colour, y, u, v }: VideoFrame): Tensor {
  const [wide, high] = [Math.ceil(width / GRID) * GRID, Math.ceil(height / GRID) * GRID];
  const data = new Float32Array(3 * wide * high);
  const decoding = decodingOf(colour, height);
  const half = (width + 1) >> 1;
  const rgb = new Float64Array(3);
  const area = wide * high;
  for (let row = 0, i = 0; row < high; row += 1) {
    const py = Math.min(row, height - 1);
    for (let column = 0; column < wide; column += 1, i += 1) {
      const px = Math.min(column, width - 1);
      const chroma = (py >> 1) * half + (px >> 1);
      toRgb(y[py * width + px]!, u[chroma]!, v[chroma]!, decoding, rgb);
      for (let plane = 0; plane < 3; plane += 1) data[plane * area + i] = Math.min(1, Math.max(0, rgb[plane]! / 255));
    }
  }
  return floats(data, [1, 3, high, wide]);
}

/** The planes of what the network made. */
export function planesOf(made: Tensor, { width, height, colour }: VideoFrame): Pick<VideoFrame, 'y' | 'u' | 'v'> {
  const [high, wide] = [made.dims[2]!, made.dims[3]!];
  const data = floatsOf(made, 'output');
  const encoding = encodingOf(colour, height);
  const area = wide * high;
  const [halfWidth, halfHeight] = [(width + 1) >> 1, (height + 1) >> 1];
  const y = new Uint8ClampedArray(width * height);
  const [us, vs] = [new Float32Array(halfWidth * halfHeight), new Float32Array(halfWidth * halfHeight)];
  const counts = new Uint8Array(halfWidth * halfHeight);
  const yuv = new Float64Array(3);
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      const i = row * wide + column;
      toYuv(255 * data[i]!, 255 * data[area + i]!, 255 * data[2 * area + i]!, encoding, yuv);
      y[row * width + column] = yuv[0]!;
      const chroma = (row >> 1) * halfWidth + (column >> 1);
      us[chroma]! += yuv[1]!;
      vs[chroma]! += yuv[2]!;
      counts[chroma]! += 1;
    }
  }
  const mean = (sums: Float32Array) =>
    new Uint8Array(Uint8ClampedArray.from(sums, (sum, n) => sum / counts[n]!).buffer);
  return { y: new Uint8Array(y.buffer), u: mean(us), v: mean(vs) };
}

/** Instants of `count` pictures between two, in parts of their distance. */
export const instants = (count: number): number[] => Array.from({ length: count }, (_, n) => (n + 1) / (count + 1));

/** Makes pictures between two: at any instant, or, by a network that makes the middle alone, as middles of middles. */
async function* made(network: Network, anywhere: boolean, before: Tensor, after: Tensor, count: number) {
  const run = async (inputs: Record<string, Tensor>) => {
    const { output } = await network.run(inputs);
    if (output?.dims.length !== 4) throw new Fault('interpolator', 'broken', 'The network made no picture');
    return output;
  };
  if (anywhere) {
    for (const instant of instants(count))
      yield await run({ before, after, at: floats(Float32Array.of(instant), [1]) });
    return;
  }
  const known = new Map<number, Tensor>([
    [0, before],
    [1, after],
  ]);
  for (const instant of instants(count)) {
    let [low, high] = [0, 1];
    let middle = 0.5;
    for (let depth = 0; depth < DEEPEST; depth += 1) {
      middle = (low + high) / 2;
      if (!known.has(middle)) known.set(middle, await run({ before: known.get(low)!, after: known.get(high)! }));
      if (Math.abs(middle - instant) <= NEAR) break;
      if (middle < instant) low = middle;
      else high = middle;
    }
    yield known.get(middle)!;
  }
}

/** The places of pictures between two. */
export const placesOf = ({ before, after, count }: Pair) =>
  instants(count).map((instant) => at(before.start + Math.round(instant * between(before.start, after.start))));

/** Two pictures must be of one size to have anything between them. */
export function expectAlike({ before, after }: Pair): void {
  if (before.width === after.width && before.height === after.height) return;
  const size = ({ width, height }: VideoFrame) => `${width} × ${height}`;
  throw new Fault('interpolator', 'rejected', `Cannot make pictures between ${size(before)} and ${size(after)}`);
}

/**
 * RIFE: pictures between two, by how everything in them moves.
 *
 * @see Huang et al., "Real-Time Intermediate Flow Estimation for Video Frame Interpolation", ECCV 2022
 */
export const rife = defineEngine({
  kind: 'interpolator',
  id: 'rife',
  host: 'thread',
  summary: 'RIFE: pictures between two of a recorded programme; wants a GPU.',
  licence: 'MIT',
  needs: [
    {
      install: `${FILE} (models/export/rife.py makes it) in ${modelDirectory(RIFE)}`,
      present: () => existsSync(join(modelDirectory(RIFE), FILE)),
    },
  ],
  config: z.strictObject({
    model: z.string().min(1).optional().describe(`Directory with ${FILE}, instead of the model store.`),
    file: z.string().min(1).default(FILE).describe("The network's file in the directory."),
    runtime: networkSettings.prefault({}),
  }),
  async load({ model, file, runtime }, scope) {
    const place = { stage: 'interpolator', card: RIFE, model } as const;
    const path = join(modelDirectory(RIFE, model), file);
    if (!existsSync(path)) {
      throw new Fault(
        'interpolator',
        'unavailable',
        `Cannot load RIFE: there is no ${path}; models/export/rife.py makes it`,
      );
    }
    const network = await openModelFile(place, file, ['before', 'after'], scope, { settings: runtime });
    const anywhere = network.inputs.some(({ name }) => name === 'at');
    return {
      kind: 'interpolator',
      engine: 'rife',
      caps: { lookahead: ms(0) },
      async *run(input, { signal }) {
        for await (const pair of until(input, signal)) {
          expectAlike(pair);
          if (pair.count === 0) continue;
          const places = placesOf(pair);
          const { before, after } = pair;
          let n = 0;
          for await (const each of made(network, anywhere, rgbOf(before), rgbOf(after), pair.count)) {
            if (signal.aborted) return;
            yield { ...before, ...planesOf(each, before), start: places[n]! };
            n += 1;
          }
        }
      },
    };
  },
});
