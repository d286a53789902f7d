import { type Figure, type Journey, figureOf } from './delays.ts';

/** One door as it was found. Figures are ms. */
export interface Measured {
  readonly side: 'in' | 'out';
  readonly name: string;
  readonly protocol: string;
  readonly codecs: string;
  readonly client: string;
  /** A browser is at one end: it leaves out pictures that it does not come to draw, which is no loss on their way. */
  readonly drawn: boolean;
  readonly state: 'works' | 'lacking' | 'not in this build' | 'failed';
  /** A sentence, where it was not measured or something is to be known about the figure. */
  readonly why?: string;
  /** In: from sending to leaving the SFU, less the programme's delay. Out: from leaving the SFU to the client's picture. */
  readonly figure?: Figure;
  /** FFmpeg at both ends of the same protocol, with nothing of ours between. */
  readonly peer?: Figure;
  /** What is drawn: seconds since the first picture, ms. */
  readonly points: readonly (readonly [s: number, ms: number])[];
}

/** What is known of a door before it is measured. */
export type Description = Pick<Measured, 'side' | 'name' | 'protocol' | 'codecs' | 'client' | 'drawn'>;

export const unmeasured = (door: Description, state: Measured['state'], why: string): Measured => ({
  ...pick(door),
  ...{ state, why, points: [] },
});

/** With less than this share of the pictures that were sent meanwhile a door does not work. */
const LEAST = 0.5;

/**
 * @param less what is not the door's, ms: the delay that the programme is asked to have
 * @param sent pictures in the time that was measured
 */
export function measured(
  door: Description,
  way: Journey,
  less: number,
  sent: number,
  peer: Figure | undefined,
  why?: string,
): Measured {
  const figure = figureOf(way, less);
  if (!figure) return unmeasured(door, 'failed', 'no picture came through');
  if (figure.pictures < sent * LEAST) {
    return unmeasured(door, 'failed', `${figure.pictures} of ${sent} pictures came through`);
  }
  const begun = way.took[0]?.at ?? 0;
  const points = way.took.map(({ at, ms }) => [(at - begun) / 1_000, ms - less] as const);
  return { ...pick(door), state: 'works', figure, ...(peer && { peer }), points, ...(why !== undefined && { why }) };
}
const pick = ({ side, name, protocol, codecs, client, drawn }: Description): Description => ({
  ...{ side, name, protocol, codecs, client, drawn },
});

const REFERENCE = 'rtp';

/** What a way in adds beyond plain RTP, ms, median against median; `undefined` without either. */
export function beyondRtp(rows: readonly Measured[], row: Measured): number | undefined {
  const reference = rows.find(({ side, name }) => side === row.side && name === REFERENCE)?.figure;
  return row.side === 'in' && row.figure && reference ? row.figure.median - reference.median : undefined;
}

/** The measured door with the largest median on each side. */
export function worst(rows: readonly Measured[], side: Measured['side']): Measured | undefined {
  return rows.filter((row) => row.side === side && row.figure).sort((a, b) => b.figure!.median - a.figure!.median)[0];
}
