import { overlap } from '../../media/box.ts';
import { type MediaTime, type Span, between } from '../../media/time.ts';
import type { Box, VideoFrame } from '../../media/video-frame.ts';
import type { Face, FaceId, Pose, Seen } from '../../pipeline/face.ts';
import type { Detection, FaceDetector } from './detection.ts';
import { facesBetween } from './face-between.ts';
import type { FaceEmbedding } from './face-embedding.ts';
import { matched } from './face-matching.ts';
import { Fitness } from './fitness.ts';
import { type PoseNetwork, landmarkPose } from './head-pose.ts';
import { centreOf, eyeDistance, openingOf, tiltOf } from '../../pipeline/ibug.ts';
import { faceBox } from './ibug-points.ts';
import { type LandmarkNetwork, type Region, regionOf } from './landmarks.ts';
import { MouthWatch, chartMouth } from './mouth-watch.ts';
import { OneEuro } from './one-euro.ts';
import { SceneCuts } from './scene-cut.ts';

/** What a tracker looks with. */
export interface Eyes {
  readonly detector: FaceDetector;
  readonly landmarks: LandmarkNetwork;
  /** Left out: the landmarks tell. */
  readonly pose?: PoseNetwork | undefined;
  readonly embedding?: FaceEmbedding | undefined;
}
/** How often it looks, and at what. */
export interface Tracking {
  /** Between looks of the detector at the whole picture. */
  readonly detectEvery: Span;
  /** Between looks at a face's landmarks while it is calm; 0 looks in every picture. */
  readonly landmarksEvery: Span;
  /** Between looks of the pose network. */
  readonly poseEvery: Span;
  /** Between looks of a detector that costs little at where a calm face was; 0 looks in every picture. */
  readonly confirmEvery: Span;
  readonly embedEvery: Span;
  /** Score from which a detection begins a new face. */
  readonly surely: number;
  readonly mostFaces: number;
  /** Distance of the eyes in pixels below which a face is too small. */
  readonly smallest: number;
}

/** A detection that overlaps a known face by more is that face. */
const SAME = 0.25;
/** Two faces that overlap by more are one. */
const DOUBLE = 0.55;
/** How long a face is kept where it was after it was seen last, microseconds. */
const KEEP = 400_000;
/** Edge of the part that is looked at for a known face, in edges of its square. */
const AROUND = 2;
/** A face further than this from where it was, in edges of its square, is looked at where the detector has it. */
const STRAYED = 0.15;
/** Eye distances a second above which landmarks are looked at in every picture. */
const LIVELY = 0.8;
/** Degrees of yaw from which a mouth is not looked at any more: half of it is hidden by the face itself. */
const AWAY = 45;
/** Degrees of yaw up to which a face is good enough to tell whose it is. */
const FRONTAL = 30;

/**
 * How landmarks are smoothed, in hertz and eye distances a second: the face as a whole has jitter taken away, lips are
 * left nearly as they are.
 */
const FACE = { still: 3, follow: 12 } as const;
const LIPS = { still: 8, follow: 30 } as const;
const TURN = { still: 2, follow: 0.1 } as const;

/** One face as long as it is followed. */
interface Track {
  readonly id: FaceId;
  /** When the detector had it last. */
  confirmed: MediaTime | undefined;
  /** Landmarks as the network last had them. */
  raw: Float32Array | undefined;
  region: Region;
  score: number;
  seen: MediaTime;
  marked: MediaTime;
  pose: Pose | undefined;
  posed: MediaTime | undefined;
  embedded: MediaTime | undefined;
  speed: number;
  face: Face | undefined;
  readonly smooth: OneEuro;
  readonly turn: OneEuro;
  readonly mouth: MouthWatch;
  readonly fitness: Fitness;
}

const grown = ({ x, y, edge }: Region, by: number): Box => ({
  left: x - (edge * by) / 2,
  top: y - (edge * by) / 2,
  width: edge * by,
  height: edge * by,
});
const tiltBy = (points: ArrayLike<number>) => Math.atan2(points[3]! - points[1]!, points[2]! - points[0]!);
const regionBy = ({ box, points }: Detection) => regionOf(box, points ? tiltBy(points) : 0);

/**
 * Follows faces through pictures: a detector now and then, landmarks where faces were, and what follows from them.
 *
 * Pictures go in in order; what is seen in them comes out in order, at most `landmarksEvery` later.
 */
export class FaceTracker {
  readonly #eyes: Eyes;
  readonly #tracking: Tracking;
  readonly #cuts = new SceneCuts();
  #tracks: Track[] = [];
  #detected: MediaTime | undefined;
  #cut: MediaTime | undefined;
  /** The last look, and the pictures since then. */
  #look: Seen | undefined;
  #waiting: VideoFrame[] = [];

  constructor(eyes: Eyes, tracking: Tracking) {
    this.#eyes = eyes;
    this.#tracking = tracking;
  }

  async push(frame: VideoFrame): Promise<Seen[]> {
    const cut = this.#cuts.push(frame);
    if (!cut && !this.#due(frame.start)) {
      this.#waiting.push(frame);
      return [];
    }
    const seen: Seen[] = [];
    if (cut) {
      seen.push(...this.#between(undefined));
      this.#tracks = [];
      this.#cut = frame.start;
    }
    const now: Seen = { start: frame.start, faces: await this.#see(frame, cut), cut };
    seen.push(...this.#between(now), now);
    this.#look = now;
    return seen;
  }

  /** What is left to say. */
  end(): Seen[] {
    return this.#between(undefined);
  }

  #due(start: MediaTime): boolean {
    const { landmarksEvery } = this.#tracking;
    if (!this.#look || between(this.#look.start, start) >= landmarksEvery) return true;
    return this.#tracks.some(({ speed, face }) => speed > LIVELY || face?.unfit === 'lost');
  }

  #between(after: Seen | undefined): Seen[] {
    const before = this.#look;
    return this.#waiting.splice(0).map(({ start }) => {
      const part = before && after ? between(before.start, start) / between(before.start, after.start) : 0;
      return { start, faces: facesBetween(before?.faces ?? [], after?.faces, part), cut: false };
    });
  }

  async #see(frame: VideoFrame, cut: boolean): Promise<Face[]> {
    const { start } = frame;
    const { detectEvery, mostFaces } = this.#tracking;
    const missed = this.#tracks.some(({ seen }) => seen < start && this.#look && seen < this.#look.start);
    const whole = cut || missed || this.#detected === undefined || between(this.#detected, start) >= detectEvery;
    const found = whole ? await this.#detect(frame) : undefined;
    for (const track of this.#tracks) await this.#follow(track, frame, found);
    this.#tracks = this.#tracks.filter((track) => between(track.seen, start) < KEEP);
    this.#tracks = this.#tracks.filter(
      (track, n) => !this.#tracks.slice(0, n).some((elder) => overlap(this.#boxOf(elder), this.#boxOf(track)) > DOUBLE),
    );
    this.#tracks = this.#tracks
      .toSorted((a, b) => b.region.edge - a.region.edge)
      .slice(0, mostFaces)
      .toSorted((a, b) => (a.id < b.id ? -1 : 1));
    return this.#tracks.flatMap(({ face }) => face ?? []);
  }

  /** Looks at the whole picture; faces that are not known yet begin. */
  async #detect(frame: VideoFrame): Promise<Map<Track, Detection>> {
    const { start } = frame;
    this.#detected = start;
    const detections = await this.#eyes.detector.detect(frame);
    const pairs = matched(
      this.#tracks.map((track) => this.#boxOf(track)),
      detections.map(({ box }) => box),
      SAME,
    );
    const found = new Map(pairs.map(([track, n]) => [this.#tracks[track]!, detections[n]!]));
    const taken = new Set(pairs.map(([, n]) => n));
    for (const [n, detection] of detections.entries()) {
      if (taken.has(n) || detection.score < this.#tracking.surely) continue;
      const track: Track = {
        id: `face-${start}-${n}` as FaceId,
        confirmed: undefined,
        raw: undefined,
        region: regionBy(detection),
        score: detection.score,
        seen: start,
        marked: start,
        pose: undefined,
        posed: undefined,
        embedded: undefined,
        speed: 0,
        face: undefined,
        smooth: new OneEuro((point) => (point >= 48 ? LIPS : FACE)),
        turn: new OneEuro(() => TURN),
        mouth: new MouthWatch(),
        fitness: new Fitness(this.#tracking.smallest),
      };
      found.set(track, detection);
      this.#tracks.push(track);
    }
    return found;
  }

  #boxOf({ face, region }: Track): Box {
    return face?.box ?? grown(region, 1);
  }

  /** Whether the detector is to say that a face is still there. */
  #doubted({ confirmed, speed, face }: Track, start: MediaTime): boolean {
    if (!this.#eyes.detector.cheap) return false;
    if (confirmed === undefined || speed > LIVELY || face?.unfit) return true;
    return between(confirmed, start) >= this.#tracking.confirmEvery;
  }

  /** Where the detector has a known face now: by the whole picture, or by a look at where it was. */
  async #whereabouts(track: Track, frame: VideoFrame, found: Map<Track, Detection> | undefined) {
    const already = found?.get(track);
    if (already || !this.#eyes.detector.cheap) return already;
    const near = await this.#eyes.detector.detect(frame, grown(track.region, AROUND));
    const box = this.#boxOf(track);
    return near.find((each) => overlap(each.box, box) >= SAME);
  }

  async #follow(track: Track, frame: VideoFrame, found: Map<Track, Detection> | undefined) {
    const { start } = frame;
    const { landmarks } = this.#eyes;
    const asked = found !== undefined || this.#doubted(track, start);
    const there = asked ? await this.#whereabouts(track, frame, found) : undefined;
    // Where the detector is not asked, landmarks are trusted.
    if (asked && !there) return this.#lose(track, start);
    if (there) {
      track.confirmed = start;
      track.score = there.score;
      const { x, y, edge } = regionBy(there);
      const strayed = Math.hypot(x - track.region.x, y - track.region.y) > STRAYED * track.region.edge;
      if (!track.raw || strayed || Math.abs(Math.log(edge / track.region.edge)) > Math.LN2 / 2) {
        track.region = regionBy(there);
      }
    }
    let marks = await landmarks.mark(frame, track.region);
    // A first look is at what the detector drew; a second at what landmarks say is the face.
    if (!track.raw) marks = await landmarks.mark(frame, regionOf(faceBox(marks.points), tiltOf(marks.points)));
    const box = faceBox(marks.points);
    if (overlap(box, there?.box ?? grown(track.region, 1)) < SAME) return this.#lose(track, start);

    const eyes = eyeDistance(marks.points);
    const seconds = between(track.marked, start) / 1e6;
    track.speed = track.raw && seconds > 0 ? speedOf(track.raw, marks.points) / eyes / seconds : 0;
    const smooth = track.smooth.push(marks.points, seconds, eyes);
    const region = regionOf(box, tiltOf(marks.points));
    const turned = marks.pose ?? landmarkPose(marks.points);
    const pose = await this.#pose(track, frame, region, turned, seconds);
    const covered = Math.abs(pose.yaw) < AWAY && track.mouth.push(chartMouth(frame, marks.points, turned), start / 1e6);
    const unfit = track.fitness.push(start, {
      sinceCut: this.#cut === undefined ? undefined : between(this.#cut, start),
      found: true,
      eyes,
      yaw: pose.yaw,
      speed: track.speed,
      covered,
    });
    Object.assign(track, { raw: marks.points, region, pose, seen: start, marked: start } satisfies Partial<Track>);
    const embedding = unfit || Math.abs(pose.yaw) > FRONTAL ? undefined : await this.#embed(track, frame, smooth);
    track.face = {
      id: track.id,
      box: faceBox(smooth),
      landmarks: smooth,
      pose,
      opening: openingOf(marks.points, eyeDistance(smooth)),
      score: track.score,
      ...(embedding ? { embedding } : {}),
      ...(unfit ? { unfit } : {}),
    };
  }

  /** The face is not where it was: it stays there for a while, unfit. */
  #lose(track: Track, start: MediaTime) {
    const { face } = track;
    if (!face) return;
    const { embedding: _, ...rest } = face;
    track.speed = 0;
    track.fitness.push(start, { sinceCut: undefined, found: false, eyes: Infinity, yaw: 0, speed: 0, covered: false });
    track.face = { ...rest, score: face.score / 2, unfit: 'lost' };
  }

  async #pose(track: Track, frame: VideoFrame, region: Region, byLandmarks: Pose, seconds: number): Promise<Pose> {
    const { pose: network } = this.#eyes;
    const { start } = frame;
    let pose = byLandmarks;
    if (network) {
      const due = track.posed === undefined || between(track.posed, start) >= this.#tracking.poseEvery;
      if (!due) return track.pose!;
      seconds = track.posed === undefined ? 0 : between(track.posed, start) / 1e6;
      track.posed = start;
      pose = await network.pose(frame, region);
    }
    const [yaw, pitch, roll] = track.turn.push([pose.yaw, pose.pitch, pose.roll, 0], seconds);
    return { yaw: yaw!, pitch: pitch!, roll: roll! };
  }

  async #embed(track: Track, frame: VideoFrame, points: Float32Array): Promise<Float32Array | undefined> {
    const { embedding } = this.#eyes;
    const { start } = frame;
    const due = track.embedded === undefined || between(track.embedded, start) >= this.#tracking.embedEvery;
    if (!embedding || !due) return undefined;
    track.embedded = start;
    return embedding.embed(frame, points);
  }
}

/** How far the eyes and nose have moved, pixels. */
function speedOf(before: ArrayLike<number>, now: ArrayLike<number>): number {
  const [a, b] = [centreOf(before, [27, 48]), centreOf(now, [27, 48])];
  return Math.hypot(b[0] - a[0], b[1] - a[1]);
}
