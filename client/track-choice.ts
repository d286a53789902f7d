import type { TrackId, TrackView } from '../gateway/protocol.ts';

const main = (tag: string) => tag.toLowerCase().split('-')[0];

/** The picture that goes with what is heard: the one whose mouths speak its language, where there is one. */
export function trackToSee(tracks: readonly TrackView[], heard: TrackId | null): TrackId | null {
  const language = heard?.startsWith('dub:') ? heard.slice(4) : undefined;
  const driven = tracks.find(({ id }) => language !== undefined && id === `video:${language}`);
  return driven?.id ?? tracks.find(({ id }) => id === 'video')?.id ?? null;
}

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
