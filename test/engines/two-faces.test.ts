import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { type Interval, type Span, at, later, ms, seconds } from '../../media/time.ts';
import { type Planes, type VideoFrame, cutOut, patched } from '../../media/video-frame.ts';
import { registry } from '../../models/index.ts';
import { ESPEAK_FILES } from '../../models/speak/espeak-library.ts';
import { Binding } from '../../pipeline/binding.ts';
import type { SpeakerId, UtteranceId } from '../../pipeline/domain.ts';
import type { Seen, Take } from '../../pipeline/face.ts';
import { type DrivenPicture, LipPath, type LipStages, type TakeReport } from '../../pipeline/lip-path.ts';
import { existsSync } from 'node:fs';
import { samePlanes } from '../fakes/clips.ts';
import { beside } from '../fakes/face-clips.ts';
import { type LipStore, lipStore, lipStoreLacks } from '../fakes/lip-store.ts';
import { chunksOf, decode, missing, recording } from '../fakes/recordings.ts';
import { takeOf } from '../fakes/takes.ts';
import { turnedHead } from '../fakes/turned-head.ts';
import { videoFrames } from '../fakes/video-frames.ts';

const FACE1 = recording('talking/video-retalking/face1.mp4');
const FACE2 = recording('talking/video-retalking/face2.mp4');
const WEBCAM = recording('talking/open-dubbing/englishvideo.mp4');
const TEXT =
  'Buenos días, me llamo Jordi. Vivo en Barcelona, y esta ciudad me gusta mucho. Por favor, cuéntame algo más.';
const PICTURE = ms(40);
/** Edge of each half of the picture. */
const SIDE = 360;
/** Pictures of each film. */
const COUNT = 112;
const RATE = 16_000;

const absent =
  lipStoreLacks() ??
  missing(
    'talking/video-retalking/face1.mp4',
    'talking/video-retalking/face2.mp4',
    'talking/open-dubbing/englishvideo.mp4',
  ) ?? // prettier-ignore
  (ESPEAK_FILES.some((file) => existsSync(file)) ? undefined : 'libespeak-ng1 is not installed');

const square = (file: string, from = 0, filters = `crop='min(iw,ih)':'min(iw,ih)',scale=${SIDE}:${SIDE}`) =>
  videoFrames(file, { width: SIDE, height: SIDE, count: COUNT, from, filters });
const sound = (file: string, from = 0) => decode(file, RATE).subarray(from * RATE);
/** Two films beside each other. */
const both = (left: readonly VideoFrame[], right: readonly VideoFrame[]) =>
  beside({ frames: left, seen: left.map(nothing) }, { frames: right, seen: right.map(nothing) }).frames;
const nothing = ({ start }: VideoFrame): Seen => ({ start, faces: [], cut: false });
/** What is heard of the one until picture `swap`, and of the other, from its picture `first`, from then on. */
function swapped(one: Float32Array, other: Float32Array, swap: number, first = swap): Float32Array {
  const heard = new Float32Array((COUNT * RATE) / 25);
  const place = (swap * RATE) / 25;
  heard.set(one.subarray(0, place));
  const begin = (first * RATE) / 25;
  heard.set(other.subarray(begin, begin + heard.length - place), place);
  return heard;
}
const halfOf = (frame: Planes, side: 0 | 1) =>
  cutOut(frame, { left: side * SIDE, top: 0, width: SIDE, height: frame.height });

interface Driven {
  readonly take: Take;
  readonly seen: readonly Seen[];
  readonly report: TakeReport;
  /** Per picture: what was laid on it. */
  readonly driven: ReadonlyMap<number, DrivenPicture>;
}

describe.skipIf(absent !== undefined)(`two faces in one picture (${absent ?? 'real recordings'})`, () => {
  const scope = new Scope('two faces');
  let store: LipStore;
  let stages: LipStages;
  beforeAll(async () => {
    store = lipStore();
    const { models } = store;
    stages = {
      faceTracker: await registry().load('faceTracker', 'faces', { models }, scope),
      activeSpeaker: await registry().load('activeSpeaker', 'lr-asd', { model: join(models, 'lr-asd') }, scope),
      lipDriver: await registry().load('lipDriver', 'warp', {}, scope),
    };
  }, 60_000);
  afterAll(async () => {
    await scope.close();
    store?.close();
  });

  /** One line that goes on over all of the programme but its ends, dubbed into Spanish. */
  async function drive(frames: readonly VideoFrame[], heard: Float32Array): Promise<Driven> {
    const start = at(5 * PICTURE);
    const length = ((frames.length - 10) * PICTURE) as Span;
    const take = { ...takeOf(TEXT, start, { length }), end: later(start, length) };
    const driven = new Map<number, DrivenPicture>();
    const [seen, reports]: [Seen[], TakeReport[]] = [[], []];
    const path = new LipPath({
      stages,
      clock: new MonotonicClock(),
      pace: 'recorded',
      binder: new Binding(),
      footage: async function* ({ start: from, end }: Interval) {
        for (const frame of frames) if (frame.start >= from && frame.start < end) yield await Promise.resolve(frame);
      },
      onDriven: (_, each) => driven.set(Math.round(each.start / PICTURE), each),
      onSeen: (each) => seen.push(each),
      onTake: (report) => reports.push(report),
      onFault: (fault) => expect.fail(fault.message),
      keep: seconds(60),
    });
    path.expect(take.language);
    for (const chunk of chunksOf(heard, RATE, 1_600)) path.hear(chunk);
    for (const frame of frames) await path.see(frame);
    path.end();
    path.said({ id: 'u1' as UtteranceId, speaker: 's1' as SpeakerId, start, end: take.end });
    path.drive(take);
    await path.settled();
    path.close();
    return { take, seen, driven, report: reports[0]! };
  }
  /** Which half of each picture is driven; both halves are looked at to the bit. */
  const sides = (frames: readonly VideoFrame[], { driven }: Driven) =>
    frames.map((frame, n) => {
      const after = patched(frame, driven.get(n)?.patches ?? []);
      return ([0, 1] as const).filter((side) => !samePlanes(halfOf(frame, side), halfOf(after, side)));
    });

  const TALKS: [name: string, one: string, other: string, from: number][] = [
    ['a young man, then a man at his webcam', FACE1, WEBCAM, 2.7],
    ['a man out of doors, then a man at his webcam', FACE2, WEBCAM, 1.2],
    ['a man at his webcam, then a man out of doors', WEBCAM, FACE2, 0],
    ['a man out of doors, then a young man', FACE2, FACE1, 0],
    ['a young man, then a man out of doors', FACE1, FACE2, 0],
  ];
  for (const [name, one, other, from] of TALKS)
    test(`only the mouth of whom is heard is driven, and a change of who that is is followed within half a second: ${name}`, async () => {
      const swap = 62;
      const [first, second] = [square(one), square(other, from)];
      // Who listens is a still.
      const left = first.map((frame, n) => ({ ...first[Math.min(n, swap - 1)]!, start: frame.start }));
      const right = second.map((frame, n) => ({ ...second[Math.max(0, n - swap)]!, start: frame.start }));
      const frames = both(left, right);
      const result = await drive(frames, swapped(sound(one), sound(other, from), swap, 0));
      const moved = sides(frames, result);
      expect(moved.every((each) => each.length <= 1)).toBe(true);
      // Pixels outside the box of the face that is driven stay as they are.
      for (const [n, { patches }] of result.driven) {
        for (const { left, top, width, height } of patches) {
          const inside = result.seen[n]!.faces.some(
            ({ box }) => left >= Math.floor(box.left) && top >= Math.floor(box.top) && left + width <= box.left + box.width + 1 && top + height <= box.top + box.height + 1, // prettier-ignore
          );
          expect(inside).toBe(true);
        }
      }
      const [lastLeft, firstRight] = [
        moved.findLastIndex((each) => each[0] === 0),
        moved.findIndex((each) => each[0] === 1),
      ];
      expect(lastLeft).toBeLessThan(firstRight);
      const off = [(firstRight - swap) * 40, (lastLeft + 1 - swap) * 40].map(Math.abs);
      expect(Math.max(...off)).toBeLessThanOrEqual(500);
      expect(moved.filter((each) => each[0] === 0).length).toBeGreaterThan(40);
      expect(moved.filter((each) => each[0] === 1).length).toBeGreaterThan(25);
    }, 180_000);

  test('a face that is turned away is left alone, and said to be a profile; the other one is driven when it speaks', async () => {
    const swap = 62;
    const [first] = (await drive(square(FACE1), sound(FACE1))).seen;
    const { box } = first!.faces[0]!;
    const angle = (n: number) => 60 * Math.max(0, Math.min(1, (n - 20) / 8, (70 - n) / 8));
    const other = square(WEBCAM, 2.7);
    const frames = both(
      square(FACE1).map((frame, n) => turnedHead(frame, box, angle(n))),
      other.map((frame, n) => ({ ...other[Math.max(0, n - swap)]!, start: frame.start })),
    );
    const result = await drive(frames, swapped(sound(FACE1), sound(WEBCAM, 2.7), swap, 0));
    const moved = sides(frames, result);
    const away = result.seen.flatMap(({ faces }, n) => (faces.some(({ unfit }) => unfit === 'profile') ? [n] : []));
    expect(away.length).toBeGreaterThan(20);
    for (const n of away) expect(moved[n]).not.toContain(0);
    expect(result.report.left.some(({ why, start, end }) => why === 'profile' && end - start > 500_000)).toBe(true);
    expect(moved.filter((each) => each[0] === 1).length).toBeGreaterThan(25);
    expect(moved.slice(0, 20).filter((each) => each[0] === 0).length).toBeGreaterThan(10);
  }, 180_000);

  test('behind a cut the first pictures are left alone, and whoever spoke before it is driven again', async () => {
    const cut = 60;
    const near = square(FACE2, 0, `crop=600:600:122:60,hflip,scale=${SIDE}:${SIDE}`);
    const frames = square(FACE2).map((frame, n) => (n < cut ? frame : near[n]!));
    const result = await drive(frames, sound(FACE2));
    const { report, seen, driven } = result;
    expect(seen.flatMap((each, n) => (each.cut && n > 0 ? [n] : []))).toEqual([cut]);
    expect(report.left).toMatchObject([{ why: 'cut', start: cut * PICTURE }]);
    const { start, end } = report.left[0]!;
    expect(end - start).toBeLessThanOrEqual(3 * PICTURE);
    const faces = [...driven].filter(([, { patches }]) => patches.length > 0).map(([n]) => n);
    expect(faces.filter((n) => n < cut).length).toBeGreaterThan(50);
    expect(faces.filter((n) => n > cut).length).toBeGreaterThan(35);
    expect(new Set(report.bound.map(({ face }) => face)).size).toBe(2);
  }, 180_000);
});
