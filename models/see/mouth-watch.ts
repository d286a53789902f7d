import type { Planes } from '../../media/video-frame.ts';
import type { Pose } from '../../pipeline/face.ts';
import { movedPoints, similarity } from '../../media/affine.ts';
import { IBUG, centreOf } from '../../pipeline/ibug.ts';

/** How light and of what colour the mouth and its surroundings are, against nose and cheeks. */
export interface MouthChart {
  /** Per cell Y′, Cb and Cr, less those of nose and cheeks. */
  readonly cells: Float32Array;
  readonly pose: Pose;
}

/**
 * Where is looked: on the ways from the outer lips to nose, jaw and chin, and between outer and inner lips. These go
 * with the skin as the mouth opens; what is between the lips, which changes most, is left out.
 */
const WAYS: readonly (readonly [from: number, to: number])[] = [
  ...[49, 50, 51, 52, 53].map((lip, n) => [lip, 31 + n] as const),
  ...[54, 55, 56, 57, 58, 59, 48].map((lip, n) => [lip, [12, 10, 9, 8, 7, 6, 4][n]!] as const),
];
const LIPS: readonly (readonly [outer: number, inner: number])[] = [
  ...[49, 50, 51, 52, 53].map((lip, n) => [lip, [61, 61, 62, 63, 63][n]!] as const),
  ...[55, 56, 57, 58, 59].map((lip, n) => [lip, [65, 65, 66, 67, 67][n]!] as const),
];
const STEPS: readonly (readonly [from: number, to: number, part: number])[] = [
  ...WAYS.flatMap(([from, to]) => [0.25, 0.45, 0.65].map((part) => [from, to, part] as const)),
  ...LIPS.map(([outer, inner]) => [outer, inner, 0.4] as const),
];
const CELLS = STEPS.length;
/** Taps of a cell, in eye distances from its middle. */
const TAPS = [-0.03, 0, 0.03];
/** Between the eyes and right and left of it, in eye distances. */
const EYES = [-0.5, 0, 0.5, 0];
/** Nose and cheeks, where hands and microphones seldom are. */
const beside = [-0.35, -0.25, -0.1, 0, 0.1, 0.25, 0.35].flatMap((x) => [0.25, 0.35, 0.45].flatMap((y) => [x, y]));

/** Looks at the mouth of a face with these 68 points. */
export function chartMouth(frame: Planes, points: ArrayLike<number>, pose: Pose): MouthChart {
  const onto = similarity(EYES, [...centreOf(points, IBUG.leftEye), ...centreOf(points, IBUG.rightEye)]);
  const half = (frame.width + 1) >> 1;
  const sum = new Float32Array(3);
  const add = (x: number, y: number, share: number) => {
    const column = Math.max(0, Math.min(frame.width - 1, Math.floor(x)));
    const row = Math.max(0, Math.min(frame.height - 1, Math.floor(y)));
    const chroma = (row >> 1) * half + (column >> 1);
    sum[0]! += frame.y[row * frame.width + column]! * share;
    sum[1]! += frame.u[chroma]! * share;
    sum[2]! += frame.v[chroma]! * share;
  };
  const around = movedPoints(beside, onto);
  for (let n = 0; n < around.length; n += 2) add(around[n]!, around[n + 1]!, 2 / around.length);
  const usual = sum.slice();
  const unit = Math.hypot(onto.a, onto.d);
  const cells = new Float32Array(CELLS * 3);
  for (const [n, [from, to, part]] of STEPS.entries()) {
    const x = points[2 * from]! + (points[2 * to]! - points[2 * from]!) * part;
    const y = points[2 * from + 1]! + (points[2 * to + 1]! - points[2 * from + 1]!) * part;
    sum.fill(0);
    for (const dx of TAPS) for (const dy of TAPS) add(x + dx * unit, y + dy * unit, 1 / 9);
    for (let k = 0; k < 3; k += 1) cells[3 * n + k] = sum[k]! - usual[k]!;
  }
  return { cells, pose };
}

/**
 * How unlike two mouths are: the mean difference of the quarter of the cells that differ most. Luma counts an
 * eighth: it is what light, pose and opening change, while what lies over a mouth hides the colour of lips as well.
 */
export function unlikeness(a: MouthChart, b: MouthChart): number {
  const differences = new Float32Array(CELLS);
  for (let n = 0; n < CELLS; n += 1) {
    const y = Math.abs(a.cells[3 * n]! - b.cells[3 * n]!);
    const u = Math.abs(a.cells[3 * n + 1]! - b.cells[3 * n + 1]!);
    const v = Math.abs(a.cells[3 * n + 2]! - b.cells[3 * n + 2]!);
    differences[n] = y / 8 + u + v;
  }
  differences.sort();
  const most = differences.subarray(-CELLS >> 2);
  return most.reduce((sum, each) => sum + each, 0) / most.length;
}

/**
 * Mouths unlike by more than this many times what is usual for a face, within these bounds, have something before
 * them. Speaking mouths of seven clips are unlike by 2.5 … 5 as a rule and 7 at most, hands of the cheeks' own colour
 * painted over them by 7 … 25.
 */
const STRANGE = { times: 2.5, least: 6.5, most: 14 } as const;
/** A covered mouth is free again at this part of the limit. */
const FAMILIAR = 0.85;
/** Part of the limit by which a mouth must differ from itself a moment ago. */
const SUDDEN = 0.8;
/** Seconds after which a face that has only become a little strange is taken for what it looks like now. */
const PATIENCE = 3;
/** What is usual for a face of which little is known yet. */
const UNKNOWN = 3.2;
/** Charts over which "usual" goes. */
const MEMORY = 25;
/** Charts that are unlike by less add nothing. */
const NOVEL = 2.5;
/** Poses further apart, in degrees of yaw and pitch, are not compared. */
const NEAR = 12;
const MOST = 48;
/** Seconds after which a chart is believed: what slides over a mouth slowly is noticed before. */
const TRIAL = 0.6;
/** Seconds that a face must have been known before its mouth can be strange. */
const KNOWN = 0.8;

/**
 * Tells whether something is in front of one face's mouth, by what that mouth looked like before.
 *
 * A mouth that is covered from the start is taken for what it looks like. A mouth that looks another way than it ever
 * did is not judged.
 */
export class MouthWatch {
  #bank: MouthChart[] = [];
  #trial: { chart: MouthChart; at: number }[] = [];
  #since: number | undefined;
  #usual = UNKNOWN;
  /** Since when the mouth is covered. */
  #covered: number | undefined;

  /** Unlikeness to the nearest that is known, if there is any to compare with. */
  unlike(chart: MouthChart): number | undefined {
    let least: number | undefined;
    for (const each of this.#bank) {
      if (Math.hypot(each.pose.yaw - chart.pose.yaw, each.pose.pitch - chart.pose.pitch) > NEAR) continue;
      const unlike = unlikeness(each, chart);
      if (least === undefined || unlike < least) least = unlike;
    }
    return least;
  }

  /**
   * Whether the mouth is covered.
   *
   * @param at in seconds, on any axis
   */
  push(chart: MouthChart, at: number): boolean {
    this.#since ??= at;
    const unlike = this.unlike(chart);
    if (this.#strange(chart, unlike, at)) {
      this.#covered ??= at;
      this.#trial = [];
      return true;
    }
    this.#covered = undefined;
    if (unlike !== undefined) this.#usual += (unlike - this.#usual) / MEMORY;
    this.#trial.push({ chart, at });
    while (this.#trial[0] && at - this.#trial[0].at >= TRIAL) this.#learn(this.#trial.shift()!.chart);
    return false;
  }

  #strange(chart: MouthChart, unlike: number | undefined, at: number): boolean {
    if (unlike === undefined) return false;
    if (at - this.#since! < KNOWN) return false;
    const { times, least, most } = STRANGE;
    const limit = Math.max(least, Math.min(most, times * this.#usual));
    // What comes over a mouth comes suddenly; what drifts is light and pose.
    const before = this.#trial[0]?.chart;
    if (this.#covered === undefined) return unlike > limit && (!before || unlikeness(before, chart) > SUDDEN * limit);
    return unlike > most || (unlike > FAMILIAR * limit && at - this.#covered < PATIENCE);
  }

  #learn(chart: MouthChart) {
    const unlike = this.unlike(chart);
    if (unlike !== undefined && unlike < NOVEL) return;
    this.#bank.push(chart);
    if (this.#bank.length > MOST) this.#bank.shift();
  }
}
