import type { TrackId, TrackView } from '../gateway/protocol.ts';

const main = (tag: string) => tag.toLowerCase().split('-')[0];

/**
 * The track a viewer hears at first: the dub into the first language they understand (BCP 47 tags, best first), else the
 * first dub there is, since that is what they came for, else the original. `insist` is a language they chose themselves:
 * when it is no dub, it is the original they chose.
 */
export function trackToHear(
  tracks: readonly TrackView[],
  understood: readonly string[],
  insist?: string,
): TrackId | null {
  const dubs = tracks.filter(({ id }) => id.startsWith('dub:'));
  const original = tracks.find(({ id }) => id === 'original');
  if (insist && original?.language && main(original.language) === main(insist)) return original.id;
  for (const tag of understood) {
    const exact = dubs.find(({ language }) => language?.toLowerCase() === tag.toLowerCase());
    const near = exact ?? dubs.find(({ language }) => language && main(language) === main(tag));
    if (near) return near.id;
  }
  return dubs[0]?.id ?? original?.id ?? null;
}
