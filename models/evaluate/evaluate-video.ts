import { grown, overlap } from '../../media/box.ts';
import { packedRgb } from '../../media/colour.ts';
import { luma, ssim } from '../../media/ssim.ts';
import { type Box, type VideoFrame, cutOut, evenBox } from '../../media/video-frame.ts';
import type { Face, Seen } from '../../pipeline/face.ts';
import { IBUG } from '../../pipeline/ibug.ts';
import type { Network } from '../runtime/tensor.ts';
import {
  closedBelow,
  correlation,
  difference,
  meanDistance,
  motion,
  mouthOffset,
  mouthShape,
  silences,
  smooth,
  soundLevels,
  tremble,
  vowelLevels,
} from './mouth-measures.ts';
import { features, frechetDistance, lpips } from './perceptual.ts';
import { boxOf, mouthSharpness, squareOf } from './picture-measures.ts';
import { syncCoefficients } from './sync-features.ts';
import { type LipSync, type SyncNetworks, SyncTally, SyncWatch } from './syncnet.ts';
import { type Figure, MEASURE_NAMES, type MeasureName, type Moment, type VideoReport } from './video-report.ts';

/** Pictures a second of everything here. */
export const RATE = 25;

/** A picture and what is seen in it. */
export interface Watched {
  readonly frame: VideoFrame;
  readonly seen: Seen;
}
/** A video to be measured: 25 pictures a second from its beginning on, and its sound, 16 kHz mono, from there on too. */
export interface WatchedVideo {
  readonly pictures: AsyncIterable<Watched>;
  readonly pcm: Float32Array;
}
/** Networks that measure, or why they are not here. */
export interface Judges {
  readonly syncnet: SyncNetworks | string;
  readonly lpips: Network | string;
  readonly inception: Network | string;
}
export interface EvaluateOptions {
  readonly original: WatchedVideo;
  readonly dubbed: WatchedVideo;
  readonly judges: Judges;
  /** Called after each picture. */
  readonly progress?: (pictures: number) => void;
}

/** How far sound is looked for to either side, steps. */
const MOST_LATE = 15;
/** Every how manieth picture the costly networks see. */
const EVERY = 10;
/** Faces that are kept for the Fréchet distance at most. */
const MOST_FACES = 256;
/** Around a face, in parts of its longer edge, what driving it may change. */
const AROUND = 0.15;
/** Moments that are told of each kind, and how far apart. */
const TOLD = { most: 3, apart: RATE };

const area = ({ width, height }: Box) => width * height;
/** The largest face, and the one in its place in the other picture: that which overlaps it most, or else the only one. */
export function pairOf(original: Watched, dubbed: Watched): { original?: Face; dubbed?: Face } {
  const first = original.seen.faces.toSorted((a, b) => area(b.box) - area(a.box))[0];
  if (!first) return {};
  const [sx, sy] = [dubbed.frame.width / original.frame.width, dubbed.frame.height / original.frame.height];
  const { left, top, width, height } = first.box;
  const there = { left: left * sx, top: top * sy, width: width * sx, height: height * sy };
  const others = dubbed.seen.faces.toSorted((a, b) => overlap(b.box, there) - overlap(a.box, there));
  const [second] = others;
  if (!second) return { original: first };
  const alone = original.seen.faces.length === 1 && others.length === 1;
  return overlap(second.box, there) >= 0.3 || alone ? { original: first, dubbed: second } : { original: first };
}

const mean = (values: readonly number[]) =>
  values.length > 0 ? values.reduce((sum, value) => sum + value, 0) / values.length : undefined;
const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

/** What one side's faces do from picture to picture. */
class Faces {
  readonly openings: number[] = [];
  readonly face: number[] = [];
  readonly mouth: number[] = [];
  readonly #sum: { vector?: Float64Array } = {};
  #last: { id: string; points: Float32Array }[] = [];

  /** The mouth's trembling in the picture before, where it can be told. */
  add(face: Face | undefined, cut: boolean): number | undefined {
    this.openings.push(face?.opening ?? Number.NaN);
    if (!face || cut || this.#last.at(-1)?.id !== face.id) this.#last = [];
    if (!face) return undefined;
    if (face.embedding) {
      this.#sum.vector ??= new Float64Array(face.embedding.length);
      const length = Math.hypot(...face.embedding) || 1;
      for (const [n, value] of face.embedding.entries()) this.#sum.vector[n]! += value / length;
    }
    this.#last.push({ id: face.id, points: face.landmarks });
    if (this.#last.length < 3) return undefined;
    const [a, b, c] = this.#last;
    this.#last.shift();
    const shaking = tremble(a!.points, b!.points, c!.points);
    this.face.push(shaking.face);
    this.mouth.push(shaking.mouth);
    return shaking.mouth;
  }
  /** The mean of the embeddings' directions. */
  get embedding(): Float64Array | undefined {
    return this.#sum.vector;
  }
}

/** Looks by SyncNet at one side, run by run. */
class Sync {
  readonly tally = new SyncTally();
  readonly #watch: SyncWatch;
  #id: string | undefined;

  constructor(networks: SyncNetworks, pcm: Float32Array) {
    this.#watch = new SyncWatch(networks, syncCoefficients(pcm), this.tally);
  }
  async add(picture: number, { frame, seen }: Watched, face: Face | undefined): Promise<void> {
    if (this.#id !== undefined && (face?.id !== this.#id || seen.cut)) await this.#watch.end();
    this.#id = face?.id;
    if (face) await this.#watch.push(picture, frame, face.box);
  }
  async end(): Promise<LipSync | undefined> {
    if (this.#id !== undefined) await this.#watch.end();
    return this.tally.result;
  }
}

/** A face's square, grown a little, as a network sees it. */
function faceSquare({ frame }: Watched, { landmarks }: Face, size: number): Float32Array {
  const { left, top, width, height } = boxOf(landmarks, IBUG.all, 0.25);
  const side = Math.max(width, height);
  const box = { left: left + (width - side) / 2, top: top + (height - side) / 2, width: side, height: side };
  const part = evenBox(box, frame);
  return squareOf(packedRgb(cutOut(frame, part), frame.colour, frame.height), part, box, size);
}

/** Keeps at most so many of a stream, evenly. */
class Sample<T> {
  readonly kept: T[] = [];
  #every = 1;
  #count = 0;
  /** Whether the next one is to be kept. */
  get wanted(): boolean {
    return this.#count % this.#every === 0;
  }
  skip(): void {
    this.#count += 1;
  }
  add(value: T): void {
    this.kept.push(value);
    this.#count += 1;
    if (this.kept.length < MOST_FACES) return;
    for (let n = this.kept.length - 1; n > 0; n -= 2) this.kept.splice(n, 1);
    this.#every *= 2;
  }
}

/** The worst of a kind, some way apart. */
function worstOf(
  what: Moment['what'],
  values: readonly (number | undefined)[],
  badness: (value: number) => number,
): Moment[] {
  const found = values
    .map((value, n) => ({ n, value: value ?? Number.NaN }))
    .filter(({ value }) => badness(value) > 0)
    .sort((a, b) => badness(b.value) - badness(a.value));
  const told: typeof found = [];
  for (const each of found) {
    if (told.length >= TOLD.most) break;
    if (told.every(({ n }) => Math.abs(n - each.n) >= TOLD.apart)) told.push(each);
  }
  return told.map(({ n, value }) => ({ at: n / RATE, what, value: tidy(value) }));
}
/** Four digits after the point are more than can be meant. */
const tidy = (value: number) => Number(value.toFixed(4));

/**
 * Compares a dubbed video with its original, picture by picture as far as both go. One person is followed: the largest
 * face. What cannot be told is `null`, with the reason.
 */
export async function evaluateVideo({ original, dubbed, judges, progress }: EvaluateOptions): Promise<VideoReport> {
  const sides = { original: new Faces(), dubbed: new Faces() };
  const sync =
    typeof judges.syncnet === 'string'
      ? undefined
      : { original: new Sync(judges.syncnet, original.pcm), dubbed: new Sync(judges.syncnet, dubbed.pcm) };
  const shapes: { original?: Float32Array; dubbed?: Float32Array; ids: string } = { ids: '' };
  const [distances, velocities, sharp, wholes, outsides, looks]: number[][] = [[], [], [], [], [], []];
  const inception = { original: new Sample<Float32Array>(), dubbed: new Sample<Float32Array>() };
  const moments: { blurred: (number | undefined)[]; outside: (number | undefined)[]; lost: (number | undefined)[] } = {
    blurred: [],
    outside: [],
    lost: [],
  };
  const shaking: (number | undefined)[] = [];
  let [count, faces, again, sizes] = [0, 0, 0, true];

  const others = dubbed.pictures[Symbol.asyncIterator]();
  try {
    for await (const before of original.pictures) {
      const next = await others.next();
      if (next.done) break;
      const after = next.value;
      const pair = pairOf(before, after);
      faces += pair.original ? 1 : 0;
      again += pair.dubbed ? 1 : 0;
      moments.lost.push(pair.original && !pair.dubbed ? 1 : undefined);

      const still = sides.original.add(pair.original, before.seen.cut);
      const moved = sides.dubbed.add(pair.dubbed, after.seen.cut);
      shaking.push(still === undefined || moved === undefined ? undefined : moved - still);
      await sync?.original.add(count, before, pair.original);
      await sync?.dubbed.add(count, after, pair.dubbed);

      if (before.frame.width !== after.frame.width || before.frame.height !== after.frame.height) sizes = false;
      else {
        const masks = [...before.seen.faces, ...after.seen.faces].flatMap(({ box, landmarks }) => {
          const more = AROUND * Math.max(box.width, box.height);
          return [grown(box, more), boxOf(landmarks, IBUG.all, AROUND)];
        });
        const [was, is] = [luma(before.frame), luma(after.frame)];
        const whole = ssim(was, is);
        const outside = ssim(was, is, { except: masks });
        if (!Number.isNaN(whole)) wholes!.push(whole);
        if (!Number.isNaN(outside)) outsides!.push(outside);
        moments.outside.push(outside);
      }

      let ratio: number | undefined;
      if (pair.original && pair.dubbed) {
        const [a, b] = [mouthShape(pair.original.landmarks), mouthShape(pair.dubbed.landmarks)];
        distances!.push(meanDistance(a, b));
        const ids = `${pair.original.id} ${pair.dubbed.id}`;
        if (shapes.original && shapes.dubbed && shapes.ids === ids) {
          velocities!.push(RATE * meanDistance(difference(a, shapes.original), difference(b, shapes.dubbed)));
        }
        Object.assign(shapes, { original: a, dubbed: b, ids });
        const [own, theirs] = [
          mouthSharpness(after.frame, pair.dubbed.landmarks),
          mouthSharpness(before.frame, pair.original.landmarks),
        ];
        if (own !== undefined && theirs !== undefined && theirs > 0) sharp!.push((ratio = own / theirs));
        if (count % EVERY === 0) {
          if (typeof judges.lpips !== 'string') {
            const squares = [faceSquare(before, pair.original, 256), faceSquare(after, pair.dubbed, 256)] as const;
            looks!.push(await lpips(judges.lpips, ...squares, 256));
          }
          if (typeof judges.inception !== 'string') {
            for (const [sample, watched, face] of [
              [inception.original, before, pair.original],
              [inception.dubbed, after, pair.dubbed],
            ] as const) {
              if (sample.wanted) sample.add(await features(judges.inception, faceSquare(watched, face, 299)));
              else sample.skip();
            }
          }
        }
      } else delete shapes.original;
      moments.blurred.push(ratio);
      count += 1;
      progress?.(count);
    }
  } finally {
    await others.return?.();
  }

  const levels = { original: soundLevels(original.pcm, count), dubbed: soundLevels(dubbed.pcm, count) };
  const vowels = {
    original: smooth(vowelLevels(original.pcm, count)),
    dubbed: smooth(vowelLevels(dubbed.pcm, count)),
  };
  const mouths = { original: smooth(sides.original.openings), dubbed: smooth(sides.dubbed.openings) };
  const { openings } = sides.dubbed;
  const figures = {} as Record<MeasureName, Figure>;
  for (const name of MEASURE_NAMES) figures[name] = { value: null, original: null, why: null };
  const tell = (name: MeasureName, value: number | undefined, why: string, before?: number) => {
    const known = value !== undefined && Number.isFinite(value);
    const other = before !== undefined && Number.isFinite(before) ? tidy(before) : null;
    figures[name] = { value: known ? tidy(value) : null, original: other, why: known ? null : why };
  };

  const noFace =
    faces === 0 ? 'no face is seen in the original' : 'no face is seen in the same place in the dubbed video';
  const seenFew = again === 0 ? noFace : 'a face is seen in too few pictures';
  const synced = { original: await sync?.original.end(), dubbed: await sync?.dubbed.end() };
  const unsynced = typeof judges.syncnet === 'string' ? judges.syncnet : seenFew;
  tell('lseD', synced.dubbed?.lseD, unsynced, synced.original?.lseD);
  tell('lseC', synced.dubbed?.lseC, unsynced, synced.original?.lseC);
  const step = 1_000 / RATE;
  const late = (of: LipSync | undefined) => (of ? of.late * step : undefined);
  tell('syncOffset', late(synced.dubbed), unsynced, late(synced.original));

  const offsets = {
    original: mouthOffset(motion(mouths.original), smooth(smooth(vowels.original)), MOST_LATE),
    dubbed: mouthOffset(motion(mouths.dubbed), smooth(smooth(vowels.dubbed)), MOST_LATE),
  };
  const unheard =
    again === 0 ? noFace : 'the mouth does not go with the sound at any shift up to 0.6 s, or too little is seen';
  const late2 = (of: { late: number } | undefined) => (of ? of.late * step : undefined);
  tell('mouthOffset', late2(offsets.dubbed), unheard, late2(offsets.original));
  const constant = again === 0 ? noFace : 'the mouth does not move, the sound is silent, or too little is seen';
  const own = correlation(mouths.original, vowels.original);
  tell('mouthCorrelation', correlation(mouths.dubbed, vowels.dubbed), constant, own);
  tell('mouthCorrelationBefore', correlation(mouths.dubbed, vowels.original), constant, own);

  const closed = closedBelow(openings);
  const quiet = silences(levels.dubbed);
  const inSilence = openings.filter((value, n) => quiet[n] && !Number.isNaN(value));
  const share =
    inSilence.length > 0 ? inSilence.filter((value) => value <= closed).length / inSilence.length : undefined;
  tell(
    'closedInSilence',
    share === undefined ? undefined : 100 * share,
    'no face is seen in a silence of the dubbed sound',
  );

  tell('landmarkDistance', mean(distances!), seenFew);
  tell('landmarkVelocity', mean(velocities!), seenFew);
  tell('sharpness', sharp!.length > 0 ? median(sharp!) : undefined, again === 0 ? noFace : 'the faces are too small');
  const [a, b] = [sides.original.embedding, sides.dubbed.embedding];
  tell('identity', a && b && cosine(a, b), again === 0 ? noFace : 'the face tracker gives no embeddings');
  const unlike = sizes ? 'there are no pictures' : 'the pictures are of different sizes';
  tell('ssim', sizes ? mean(wholes!) : undefined, unlike);
  tell('ssimOutside', sizes ? mean(outsides!) : undefined, sizes ? 'faces fill the pictures' : unlike);
  tell('lpips', mean(looks!), typeof judges.lpips === 'string' ? judges.lpips : seenFew);
  const fid = frechetDistance(inception.original.kept, inception.dubbed.kept);
  tell('fid', fid, typeof judges.inception === 'string' ? judges.inception : seenFew);
  tell('jitterFace', mean(sides.dubbed.face), seenFew, mean(sides.original.face));
  tell('jitterMouth', mean(sides.dubbed.mouth), seenFew, mean(sides.original.mouth));
  tell('facesSeen', faces > 0 ? (100 * again) / faces : undefined, noFace);

  const line = (values: readonly number[]) => values.map((value) => (Number.isNaN(value) ? null : tidy(value)));
  return {
    version: 1,
    pictures: count,
    seconds: count / RATE,
    measures: figures,
    worst: [
      ...worstOf('blurred', moments.blurred, (value) => 0.8 - value),
      ...worstOf('changed outside', moments.outside, (value) => 0.95 - value),
      // The trembling was that of the picture before.
      ...worstOf('trembling', shaking.slice(1), (value) => value - 0.05),
      ...worstOf(
        'open in silence',
        openings.map((value, n) => (quiet[n] ? value : undefined)),
        (value) => value - closed,
      ),
      ...worstOf('face lost', moments.lost, (value) => value),
    ].sort((x, y) => x.at - y.at),
    strip: {
      openings: { original: line(sides.original.openings), dubbed: line(openings) },
      levels: { original: levels.original.map(tidy), dubbed: levels.dubbed.map(tidy) },
    },
  };
}

function cosine(a: Float64Array, b: Float64Array): number | undefined {
  if (a.length !== b.length) return undefined;
  let [product, first, second] = [0, 0, 0];
  for (const [n, x] of a.entries()) {
    product += x * b[n]!;
    first += x * x;
    second += b[n]! * b[n]!;
  }
  return first > 0 && second > 0 ? product / Math.sqrt(first * second) : undefined;
}
