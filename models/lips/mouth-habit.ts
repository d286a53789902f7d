import type { Mouth } from '../../pipeline/visemes.ts';
import type { Outline } from './mouth-outline.ts';

/** How many looks are remembered, and how often what they tell is worked out again. */
const KEPT = 300;
const EVERY = 8;
/** Of the looks, so many have the mouth closed, as a share: a talker closes it at every [p b m] and in every pause. */
const CLOSED_SHARE = 0.06;
/** Distances between the eyes. Landmarks of closed lips are apart by so much at most; more means that they never closed. */
const CLOSED_MOST = 0.03;
/** Openings of ordinary speech, within which what the speaker shows is believed. */
const RANGE = { least: 0.17, most: 0.3 } as const;
/** How much of the width a spread mouth gains, a rounded one and an open one lose. */
const WIDENS = 0.09;
const ROUNDS = 0.2;
const DROPS = 0.06;

/** A mouth to be made: pixels, and shares. */
export interface Shape {
  readonly gap: number;
  readonly width: number;
  /** Thickness of the lips against what they have now. */
  readonly upperLip: number;
  readonly lowerLip: number;
  /** How far landmarks of this speaker's closed lips are apart, distances between the eyes. */
  readonly closed: number;
  /** Where the lips' line is in the middle when they are closed, px below the corners; and how much that counts, 0 … 1. */
  readonly seam: number;
  readonly replaced: number;
  /** How much of the opening the upper lip makes. */
  readonly lift: number;
}

/** What a speaker's mouth does of its own: how it is closed, how wide it is at rest, how far it opens. */
export class MouthHabit {
  readonly #openings: number[] = [];
  readonly #widths: number[] = [];
  #seen = 0;
  /** All in distances between the eyes. */
  #closed = 0.02;
  #range: number = RANGE.least;
  #width: number | undefined;
  #seam: number | undefined;

  /** How far landmarks of the closed lips are apart. */
  get closed(): number {
    return this.#closed;
  }
  get range(): number {
    return this.#range;
  }
  get width(): number | undefined {
    return this.#width;
  }

  look({ gap, eyes, left, right, upperInner }: Outline): void {
    if (gap / eyes <= this.#closed + 0.015) {
      const seam = (upperInner(0) + gap / 2) / eyes;
      this.#seam = this.#seam === undefined ? seam : this.#seam + (seam - this.#seam) * 0.1;
    }
    this.#openings[this.#seen % KEPT] = gap / eyes;
    this.#widths[this.#seen % KEPT] = (right - left) / eyes;
    this.#seen += 1;
    if (this.#seen > EVERY && this.#seen % EVERY !== 0) return;
    const openings = this.#openings.toSorted((a, b) => a - b);
    const quantile = (q: number) => openings[Math.round(q * (openings.length - 1))] ?? 0;
    this.#closed = Math.min(CLOSED_MOST, quantile(CLOSED_SHARE));
    this.#range = Math.min(RANGE.most, Math.max(RANGE.least, quantile(0.95) - this.#closed));
    const most = quantile(0.35);
    const resting = this.#widths.filter((_, n) => this.#openings[n]! <= most).toSorted((a, b) => a - b);
    this.#width = resting[resting.length >> 1];
  }

  /** The mouth that is wanted, on a face that has `now`; `weight` 0 leaves it as it is. */
  shape(mouth: Mouth, now: Outline, weight: number): Shape {
    const { open, spread, round, press, tuck } = mouth;
    const width = now.right - now.left;
    // Lips that close now get no more than a line between them; those that are closed already keep what they have.
    const opened = Math.min(1, Math.max(0, now.gap / now.eyes - this.#closed) / 0.03);
    const line = this.#closed * (1 - 0.7 * opened);
    const rest = (this.#width ?? width / now.eyes) * now.eyes;
    const wanted = {
      gap: (line + open * (this.#range + this.#closed - line)) * now.eyes,
      width: rest * (1 + WIDENS * spread - ROUNDS * round - DROPS * open),
      upperLip: 1 + 0.12 * round - 0.14 * press,
      lowerLip: 1 + 0.12 * round - 0.14 * press - 0.15 * tuck,
      lift: 0.22 + 0.3 * tuck,
    };
    const mixed = (from: number, to: number) => from + (to - from) * weight;
    return {
      gap: mixed(now.gap, wanted.gap),
      width: mixed(width, wanted.width),
      upperLip: mixed(1, wanted.upperLip),
      lowerLip: mixed(1, wanted.lowerLip),
      lift: wanted.lift,
      closed: this.#closed,
      seam: (this.#seam ?? 0) * now.eyes,
      replaced: this.#seam === undefined ? 0 : opened * weight,
    };
  }
}
