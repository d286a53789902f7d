import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { MonotonicClock } from '../../media/clock.ts';
import type { Scope } from '../../media/scope.ts';
import { type Span, between, later, ms } from '../../media/time.ts';
import { patched } from '../../media/video-frame.ts';
import type { Driven, Rough } from '../../pipeline/face.ts';
import { Fault } from '../../pipeline/fault.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { until } from '../../pipeline/until.ts';
import type { Need } from '../engine.ts';
import type { LoadedNetwork } from '../runtime/onnx.ts';
import { networkSettings } from '../runtime/runtime-settings.ts';
import { type Network, type Tensors, floats, floatsOf } from '../runtime/tensor.ts';
import { FacesAtWork, callerOf, networkAt, placeSettings } from '../serve/network-at.ts';
import { type ModelPlace, modelFile, wrongFile } from '../store/model-file.ts';
import { type ModelCard, modelDirectory } from '../store/weights.ts';
import { alignedFace, toFrame, withMouth } from './aligned-face.ts';
import { Hurry } from './hurry.ts';
import { mouthPlace, patchOf } from './mouth-place.ts';
import { sharpened } from './sharpen.ts';

/** A network that makes a face whole: RGB in squares of `side`, −1 … 1, in as `input`, out as `output`. */
export interface FaceNetwork {
  readonly network: Network;
  readonly side: number;
  /** What goes in besides the face. */
  readonly also?: Tensors;
}

/** The driven picture with its mouth restored, and how that is found out. */
export async function restored(rough: Rough, { network, side, also }: FaceNetwork): Promise<Driven> {
  const { driven, face, frame } = rough;
  const place = mouthPlace(face.landmarks);
  const which = patchOf(driven.patches, place);
  const patch = driven.patches[which];
  if (!patch) return driven;
  const where = toFrame(face.landmarks, side);
  const input = floats(alignedFace(patched(frame, driven.patches), where, side), [1, 3, side, side]);
  const { output } = await network.run({ input, ...also }, { give: ['input'] });
  const made = floatsOf(output, 'output');
  const across = Math.round(Math.sqrt(made.length / 3));
  if (3 * across * across !== made.length) {
    throw new Fault(
      'restorer',
      'broken',
      `Cannot use a face of ${made.length} numbers: it is no square of three colours`,
    );
  }
  // A network may make a larger face than it is given.
  const there = across === side ? where : toFrame(face.landmarks, across);
  return { ...driven, patches: driven.patches.with(which, withMouth(patch, frame, made, across, there, place)) };
}

/**
 * A restorer by a network in a thread or a machine of its own. A picture for which there is no time goes on with its mouth
 * sharpened instead: a network that is too slow costs no picture more than `most`, once.
 *
 * @param most as long as a picture may take; 0 for as long as it takes
 */
export function faceRestorer(engine: string, face: FaceNetwork, most: Span): Stage<'restorer'> {
  const hurry = new Hurry(most);
  let failure: Fault | undefined;
  return {
    kind: 'restorer',
    engine,
    caps: { lookahead: ms(0) },
    async *run(input, { signal, clock }) {
      for await (const rough of until(input, signal)) {
        if (failure !== undefined) {
          const thrown = failure;
          failure = undefined;
          throw thrown;
        }
        if (patchOf(rough.driven.patches, mouthPlace(rough.face.landmarks)) < 0) {
          yield rough.driven;
          continue;
        }
        const began = clock.now();
        const how = hurry.ask(began);
        if (how === 'leave') {
          yield sharpened(rough);
          continue;
        }
        let over = false;
        let gone = how === 'try';
        const run = restored(rough, face).then(
          (driven) => {
            hurry.ended(between(began, clock.now()), clock.now());
            over = true;
            return driven;
          },
          (thrown: unknown) => {
            hurry.ended(between(began, clock.now()), clock.now());
            over = true;
            // Nobody waits any more: the next picture is told.
            if (gone) failure = Fault.from('restorer', thrown);
            else throw thrown;
            return undefined;
          },
        );
        if (how === 'try') {
          yield sharpened(rough);
          continue;
        }
        const late = new AbortController();
        const both = AbortSignal.any([signal, late.signal]);
        const waits =
          most === 0
            ? new Promise<undefined>((resolve) =>
                both.addEventListener('abort', () => resolve(undefined), { once: true }),
              )
            : clock.until(later(began, most), both).then(
                () => undefined,
                () => undefined,
              );
        try {
          const driven = await Promise.race([run, waits]);
          gone = !over;
          if (signal.aborted) return;
          yield driven ?? sharpened(rough);
        } finally {
          gone = true;
          late.abort();
        }
      }
    },
  };
}

/** Settings that all of them have. */
export const restorerSettings = (file: string) => ({
  model: z.string().min(1).optional().describe(`Directory with ${file}, instead of the model store.`),
  ...placeSettings,
  most: z
    .int()
    .min(0)
    .max(60_000)
    .default(30)
    .describe('Milliseconds that a picture may take; later ones go on sharpened only. 0 waits, for recordings.'),
  runtime: networkSettings.prefault({}),
});

/** The weights must have been pulled and made into a network. */
export const needsExport = (card: ModelCard, file: string): Need => ({
  install: `model ${card.name} (livedub models pull ${card.name}, then models/export/${card.name}.py)`,
  present: () => existsSync(join(modelDirectory(card), file)),
});

/** What of a restorer's settings says where its network is. */
type Place = z.output<z.ZodObject<Omit<ReturnType<typeof restorerSettings>, 'most'>>>;

/**
 * A restorer by the network in `file`, here or on a server, where its model is called as the file is, without `.onnx`.
 *
 * @param also what goes in besides the face
 */
export async function openFaceRestorer(
  engine: string,
  card: ModelCard,
  file: string,
  { most, ...place }: Place & { readonly most: number },
  scope: Scope,
  also: Tensors = {},
): Promise<Stage<'restorer'>> {
  const faces = new FacesAtWork();
  const opened = await openFaceNetwork(card, file, ['input', ...Object.keys(also)], place, faces.count, scope);
  return faces.of(faceRestorer(engine, { ...opened, also }, ms(most)));
}

/** Opens a restorer's network, and makes sure that it takes faces. */
async function openFaceNetwork(
  card: ModelCard,
  name: string,
  inputs: readonly string[],
  { model, server, runtime, ...caller }: Place,
  faces: () => number,
  scope: Scope,
): Promise<{ readonly network: LoadedNetwork; readonly side: number }> {
  const place: ModelPlace = { stage: 'restorer', card, model };
  const file = server === undefined ? modelFile(place, name) : name;
  const network = await networkAt({ file, server }, scope, {
    stage: 'restorer',
    settings: runtime,
    // Once before there is any hurry: the first run allocates.
    warm: [{}],
    clock: new MonotonicClock(),
    remote: callerOf(caller, faces),
  });
  const found = network.inputs.map((port) => port.name);
  const [, colours, height, width] = network.inputs.find((port) => port.name === 'input')?.shape ?? [];
  if (inputs.some((each) => !found.includes(each)) || colours !== 3 || height !== width || typeof width !== 'number') {
    const why = `it is another network, with inputs ${found.join(', ')} where ${inputs.join(', ')} were expected`;
    if (server === undefined) throw wrongFile(place, file, why);
    const called = basename(name, '.onnx');
    throw new Fault('restorer', 'broken', `Cannot use model '${called}' at ${new URL(server).host}: ${why}`);
  }
  return { network, side: width };
}
