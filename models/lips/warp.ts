import { z } from 'zod';
import { keepNewest } from '../../media/newest.ts';
import { ms } from '../../media/time.ts';
import type { Driven, Face, FaceId, Shot, Take } from '../../pipeline/face.ts';
import { MouthTimeline } from '../../pipeline/mouth-timeline.ts';
import { until } from '../../pipeline/until.ts';
import { defineEngine } from '../engine.ts';
import { type Interior, MouthBank, skinOf } from './mouth-bank.ts';
import { MouthHabit } from './mouth-habit.ts';
import { LowerFace, holds, regionOf } from './lower-face.ts';
import { edged } from './mouth-edges.ts';
import { type Outline, outlineOf } from './mouth-outline.ts';
import { mouthPatch } from './mouth-patch.ts';
import { at } from '../../media/time.ts';

/** Speakers and takes that are remembered; the one not seen for longest goes first. */
const SPEAKERS = 12;
const TAKES = 6;
/** Two embeddings with this cosine are one person (MobileFaceNet: same 0.85, others 0.3 at most). */
const SAME = 0.55;
/** Less than this, px, is no picture of a mouth. */
const LEAST = 16;
/** How much of a new interior is seen more with each picture. */
const FADE = 0.5;

/** What is known of one speaker's mouth. */
interface Known {
  readonly habit: MouthHabit;
  readonly bank: MouthBank;
  embedding: Float32Array | undefined;
  readonly ids: Set<FaceId>;
  shown: Interior | undefined;
  before: Interior | undefined;
  fade: number;
}

/** Mouths by face, across ids where embeddings say so. */
class Speakers {
  readonly #all: Known[] = [];

  of({ id, embedding }: Face): Known {
    const same = (known: Known) => embedding && known.embedding && cosine(embedding, known.embedding) > SAME;
    const found = this.#all.find(({ ids }) => ids.has(id)) ?? this.#all.find(same);
    const known = found ?? { habit: new MouthHabit(), bank: new MouthBank(), embedding: undefined, ids: new Set(), shown: undefined, before: undefined, fade: 1 }; // prettier-ignore
    known.ids.add(id);
    keepNewest(known.ids, SPEAKERS);
    if (embedding) known.embedding = embedding.slice();
    if (this.#all.at(-1) !== known) {
      if (found) this.#all.splice(this.#all.indexOf(found), 1);
      this.#all.push(known);
      if (this.#all.length > SPEAKERS) this.#all.shift();
    }
    return known;
  }
}
function cosine(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let n = 0; n < a.length; n += 1) sum += a[n]! * (b[n] ?? 0);
  return sum;
}

/** Drives mouths of one stream of pictures. */
export class WarpDriver {
  readonly #speakers = new Speakers();
  readonly #timelines = new Map<string, MouthTimeline>();
  readonly #lower = new LowerFace();

  drive({ start, end, frame, face, take, weight }: Shot): Driven {
    const nothing: Driven = { start, face: face.id, patches: [], ...(face.unfit ? { unfit: face.unfit } : {}) };
    if (face.unfit) return nothing;
    const marked = outlineOf(face.landmarks);
    if (!marked) return nothing;
    const outline = edged(frame, marked);
    const known = this.#speakers.of(face);
    known.habit.look(outline);
    const rest = known.habit.width ?? (outline.right - outline.left) / outline.eyes;
    known.bank.look(frame, outline, rest, Math.abs(face.pose.yaw));
    if (!take || weight <= 0) return nothing;

    const mouth = this.#timelineOf(take).mouthAt(at((start + end) / 2));
    const shape = known.habit.shape(mouth, outline, weight);
    const box = regionOf(outline, face.box, frame);
    if (box.width < LEAST || box.height < LEAST || !holds(box, outline)) return nothing;
    this.#lower.move(outline, shape, box);
    const skin = skinOf(frame, outline);
    const opening = shape.gap / outline.eyes;
    const picked = known.bank.pick(opening, shape.width / outline.eyes / rest, mouth.teeth, skin, known.shown);
    if (picked !== known.shown) [known.before, known.shown, known.fade] = [known.shown, picked, known.shown ? FADE : 1];
    else known.fade = Math.min(1, known.fade + FADE);
    const share = weight * seenOf(outline, opening, known.habit.closed);
    const interiors = known.before && known.fade < 1 ? [{ interior: known.before, share }, { interior: picked, share: share * known.fade }] : [{ interior: picked, share }]; // prettier-ignore
    return { start, face: face.id, patches: [mouthPatch(frame, this.#lower, interiors, skin, picked.painted ? 2 : 1)] };
  }

  #timelineOf(take: Take): MouthTimeline {
    const key = `${take.utterance} ${take.language} ${take.clip.start} ${take.pcm.length}`;
    const timeline = this.#timelines.get(key) ?? new MouthTimeline(take);
    this.#timelines.delete(key);
    this.#timelines.set(key, timeline);
    keepNewest(this.#timelines, TAKES);
    return timeline;
  }
}

/** How much of an interior of the bank is needed: none where lips are closed and stay so. */
function seenOf({ gap, eyes }: Outline, opening: number, closed: number): number {
  const open = Math.max(gap / eyes, opening) - closed;
  return Math.min(1, Math.max(0, open / 0.03));
}

/**
 * Lip driving without a network: the lower face is warped so that the mouth takes the shape of the dub's sounds, and what
 * shows between the lips comes from the speaker's own pictures.
 */
export const warp = defineEngine({
  kind: 'lipDriver',
  id: 'warp',
  host: 'inline',
  summary: "Moves the mouth by warping the lower face; what shows between the lips is the speaker's own. No network.",
  licence: 'GPL-3.0-or-later',
  needs: [],
  config: z.strictObject({}),
  async load() {
    return {
      kind: 'lipDriver',
      engine: 'warp',
      caps: { lookahead: ms(0), watches: true, phonemes: true },
      async *run(input, { signal }) {
        const driver = new WarpDriver();
        for await (const shot of until(input, signal)) yield driver.drive(shot);
      },
    };
  },
});
