import { deserialize, serialize } from 'node:v8';
import { MonotonicClock } from '../../media/clock.ts';
import { Recoding } from '../../media/recoding.ts';
import { type MediaTime, at, later, ms, seconds } from '../../media/time.ts';
import { VideoDecoder } from '../../media/video-decoder.ts';
import type { Patch } from '../../media/video-frame.ts';
import { WarpDriver } from '../../models/lips/warp.ts';
import { sharpened } from '../../models/restore/sharpen.ts';
import type { Eyes, Tracking } from '../../models/see/face-tracker.ts';
import type { Language, SpeakerId, UtteranceId } from '../../pipeline/domain.ts';
import type { Scene, Seen, Take } from '../../pipeline/face.ts';
import { FaceStrips } from '../../pipeline/face-strip.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { LOOKS, Looking, lookOf, metered } from './looking.ts';
import { Meter } from './meter.ts';
import { BITRATE, CODECS, FPS, type Reel, type ReelCodec } from './reel.ts';

/** What the path is made of. */
export interface Seeing {
  readonly eyes: Eyes;
  readonly tracking: Tracking;
  readonly activeSpeaker: Stage<'activeSpeaker'>;
}

const PICTURE = ms(40);
const decoding = (codec: ReelCodec) => `decode ${codec}`;
const recoding = (codec: ReelCodec) => `recode ${codec}`;
/** Looking less often, for comparison. */
export const SELDOM = 'look every 120 ms';

/** Stages of the whole path for a picture in its order, and what each of them is. */
export const STAGES = (codec: ReelCodec) =>
  [
    [decoding(codec), 'to look at it'],
    ['look', 'faces, landmarks, pose, identity'],
    ['strips', 'grey faces for the active speaker'],
    ['who speaks', 'LR-ASD and mouth motion, shared out'],
    [`${decoding(codec)} again`, 'to drive it'],
    ['drive', 'warp'],
    ['sharpen', 'restoration without a network'],
    ['pass on', 'between the two processes'],
    [recoding(codec), 'decode, patch, encode'],
  ] as const;
/** Parts of `look`. */
export const PARTS = LOOKS.map((part) => lookOf(part));
/** The driver by itself. */
export const DRIVER = ['drive', 'sharpen'] as const;

/** What one pass over a reel has shown. */
export interface PathPass {
  readonly meter: Meter;
  /** Mouths that were driven, over all pictures. */
  readonly driven: number;
  readonly always: readonly Seen[];
  readonly seldom: readonly Seen[];
}

const takeOf = (pcm: Float32Array, end: MediaTime): Take => ({
  utterance: 'bench' as UtteranceId,
  speaker: 'bench' as SpeakerId,
  language: 'es' as Language,
  start: at(0),
  end,
  clip: { start: at(0), end },
  pcm,
});

/**
 * Takes a reel down the whole path, picture by picture: every stage does what it does in a session, for every face that is
 * fit, and what it takes is counted. Stages of a picture follow each other, so that whatever else the machine does meets all.
 *
 * @param dub what mouths are to say, 16 kHz mono
 */
export async function passOver(
  reel: Reel,
  { eyes, tracking, activeSpeaker }: Seeing,
  dub: Float32Array,
): Promise<PathPass> {
  const meter = new Meter();
  const always = new Looking(metered(eyes, meter), { ...tracking, landmarksEvery: ms(0) });
  const seldom = new Looking(eyes, { ...tracking, landmarksEvery: ms(120) });
  const strips = new FaceStrips({ keep: seconds(60) });
  const driver = new WarpDriver();
  const count = Math.min(...CODECS.map((codec) => reel.pictures[codec].length));
  const end = at((count * 1_000_000) / FPS);
  const take = takeOf(dub.slice(0, Math.round((end / 1e6) * 16_000)), end);
  const open = CODECS.map((codec) => ({
    codec,
    first: new VideoDecoder({ codec }),
    second: new VideoDecoder({ codec }),
    coder: new Recoding(0, { codec, fps: FPS, bitrate: BITRATE }),
  }));
  let driven = 0;
  try {
    for (let n = 0; n < count; n += 1) {
      let patches: Patch[] = [];
      for (const { codec, first, second, coder } of open) {
        const { data, start } = reel.pictures[codec][n]!;
        const [frame] = meter.time(decoding(codec), () => first.decode(data, start));
        const [again] = meter.time(`${decoding(codec)} again`, () => second.decode(data, start));
        if (frame && again && codec === 'VP8') {
          const [seen] = await meter.wait('look', () => always.look(frame));
          await meter.wait(SELDOM, () => seldom.look(frame));
          meter.time('strips', () => strips.push(frame, seen!));
          const interval = { start, end: later(start, PICTURE) };
          for (const face of seen!.faces) {
            const rough = meter.time('drive', () => driver.drive({ ...interval, frame: again, face, take, weight: 1 }));
            if (rough.patches.length === 0) continue;
            driven += 1;
            const made = meter.time('sharpen', () => sharpened({ ...interval, frame: again, face, driven: rough }));
            patches = [...patches, ...made.patches];
          }
          patches = meter.time('pass on', () => {
            deserialize(serialize({ type: 'picture', picture: reel.pictures.VP8[n] }));
            const message = { type: 'driven', language: take.language, driven: { start, patches } };
            return (deserialize(serialize(message)) as typeof message).driven.patches;
          });
        }
        meter.time(recoding(codec), () => coder.push({ start, data, patches }));
      }
      meter.next();
    }
    always.end();
    seldom.end();
  } finally {
    for (const { first, second, coder } of open) for (const each of [first, second, coder]) each[Symbol.dispose]();
  }
  const heard = (within: { start: number; end: number }) =>
    reel.pcm.slice(Math.round((within.start * 16) / 1_000), Math.round((within.end * 16) / 1_000));
  const scene = strips.scene({ start: at(0), end }, heard);
  const judged = new Meter();
  await judged.wait('who speaks', () => answered(activeSpeaker, scene));
  judged.next();
  // One answer for all pictures: each has its share.
  meter.share('who speaks', judged.of('who speaks')[0]!);
  return { meter, driven, always: always.seen, seldom: seldom.seen };
}

async function answered(stage: Stage<'activeSpeaker'>, scene: Scene): Promise<void> {
  const one = async function* () {
    yield scene;
  };
  for await (const _ of stage.run(one(), { signal: new AbortController().signal, clock: new MonotonicClock() })) return;
}
