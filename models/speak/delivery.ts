import type { Line } from '../../pipeline/domain.ts';
import type { Rates } from '../../pipeline/stage.ts';

/** Speaking rates at which a voice that can be told its rate still sounds natural, unless an engine knows better. */
export const NATURAL: Rates = { slowest: 0.85, fastest: 1.2 };

/** How far speakers' moods are taken over, as `domain.ts` bounds them: decibels and semitones. */
const ENERGY = 6;
const RISE = 3;
/** How much of a speaker's own rise and fall a voice takes over: half, since synthetic voices soon sound like toys. */
const TAKEN = 0.5;

export const bounded = (x: number, least: number, most: number) => Math.min(most, Math.max(least, x));

/** The rate that a line asks for, within what the engine can do; 1 where it asks for nothing. */
export const rateOf = ({ delivery }: Pick<Line, 'delivery'>, { slowest, fastest }: Rates = NATURAL): number =>
  bounded(delivery?.rate ?? 1, slowest, fastest);

/** How much higher than usual a voice is to speak, semitones within ±1.5. */
export const riseOf = ({ delivery }: Pick<Line, 'delivery'>): number =>
  TAKEN * bounded(delivery?.pitch ?? 0, -RISE, RISE);

/** How much more energy than usual a voice is to show, decibels within ±6. What it does to the level is the mix's part. */
export const energyOf = ({ delivery }: Pick<Line, 'delivery'>): number =>
  bounded(delivery?.energy ?? 0, -ENERGY, ENERGY);

/** As much as a face that is as lively as can be, or quite still, counts for, decibels. */
const FACE = 4;

/**
 * How much livelier than usual a voice is to sound, decibels of energy within ±6: by how the line was said, and by what the
 * speaker's face showed where that is known.
 */
export const livelinessOf = (line: Pick<Line, 'delivery' | 'guide'>): number =>
  bounded(energyOf(line) + FACE * (2 * bounded(line.guide?.expression ?? 0.5, 0, 1) - 1), -ENERGY, ENERGY);
