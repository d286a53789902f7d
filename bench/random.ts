/** Numbers from 0 up to 1, the same ones for the same seed. */
export interface Random {
  (): number;
}

/** Mulberry32 by T. Ettinger: 32 bit of state, more than enough to write scripts by. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const within = (random: Random, least: number, most: number): number => least + (most - least) * random();
/** A whole number, both ends included. */
export const wholeWithin = (random: Random, least: number, most: number): number =>
  Math.min(most, Math.floor(within(random, least, most + 1)));
export function pick<T>(random: Random, items: readonly T[]): T {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new RangeError('Cannot pick: there is nothing to pick from');
  return item;
}

/** A seed of a text's own. FNV-1a, 32 bit. */
export function seedOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
