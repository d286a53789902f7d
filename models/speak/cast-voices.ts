import { registerOf } from '../../pipeline/casting.ts';
import type { Line, Register, SpeakerId } from '../../pipeline/domain.ts';

/** An engine's voices by register, in the order in which speakers are given them. */
export interface Ensemble<V> {
  readonly male: readonly V[];
  readonly female: readonly V[];
  readonly child?: readonly V[];
}

/**
 * The voice that speaks for somebody: by the casting of the line's speaker, so that it is the same in every language and
 * differs from everybody else's of that register while there are voices of it left.
 *
 * An engine without children's voices lets women speak for them, the last of its women first. One without any voice of
 * the register gives the others in turn. A line without a casting gets a voice by its speaker's label.
 *
 * @throws RangeError when there is no voice at all
 */
export function voiceOf<V>({ speaker, casting }: Pick<Line, 'speaker' | 'casting'>, ensemble: Ensemble<V>): V {
  const voices = casting ? voicesOf(casting.register, ensemble) : inTurn(ensemble);
  const place = casting ? casting.place : placeOf(speaker, voices.length);
  const voice = voices[place % Math.max(1, voices.length)];
  if (voice === undefined) throw new RangeError('Cannot cast a speaker: the engine has no voices');
  return voice;
}

/**
 * Voices of unknown register by how high each was found to be. One in which no voice was found counts as a man's or a
 * woman's in turn.
 */
export function byPitch<V>(voices: readonly V[], hertzOf: (voice: V) => number | undefined): Ensemble<V> {
  const ensemble: Record<Register, V[]> = { male: [], female: [], child: [] };
  let unknown = 0;
  for (const voice of voices) {
    const hertz = hertzOf(voice);
    const register = hertz === undefined ? (unknown++ % 2 === 0 ? 'male' : 'female') : registerOf(hertz);
    ensemble[register].push(voice);
  }
  return ensemble;
}

/** Voices that are told by name, those that are not in the table as men's and women's in turn. */
export function byName(names: readonly string[], known: Readonly<Record<string, Register>>): Ensemble<string> {
  const heights: Record<Register, number> = { male: 120, female: 210, child: 320 };
  return byPitch(names, (name) => (known[name] ? heights[known[name]] : undefined));
}

/** How many voices there are. */
export const sizeOf = ({ male, female, child = [] }: Ensemble<unknown>): number =>
  male.length + female.length + child.length;

function voicesOf<V>(register: Register, ensemble: Ensemble<V>): readonly V[] {
  const { male, female, child = [] } = ensemble;
  const own = { male, female, child }[register];
  if (own.length > 0) return own;
  if (register === 'child' && female.length > 0) return female.toReversed();
  return inTurn(ensemble);
}

/** Men's and women's voices in turn, so that the first speakers are the easiest to tell apart; children's at the end. */
export function inTurn<V>({ male, female, child = [] }: Ensemble<V>): readonly V[] {
  const turns = Array.from({ length: Math.max(male.length, female.length) }, (_, n) => [
    ...male.slice(n, n + 1),
    ...female.slice(n, n + 1),
  ]);
  return [...turns.flat(), ...child];
}

/**
 * A speaker's place among `count` voices, the same in every process.
 *
 * Labels that end in a number, as diarizers give them, take places in turn: the first `count` speakers never share one.
 */
export function placeOf(speaker: SpeakerId, count: number): number {
  const digits = /(\d{1,9})\D*$/.exec(speaker)?.[1];
  if (digits !== undefined) return (Number(digits) + count - 1) % count;
  // FNV-1a.
  let hash = 0x811c9dc5;
  for (const unit of speaker) hash = Math.imul(hash ^ (unit.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return hash % count;
}
