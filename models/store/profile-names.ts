/** Named sets of engines; what is in each stands in `profiles.ts`. */
export const PROFILE_NAMES = ['embedded', 'cpu', 'gpu', 'cloud'] as const;
export type ProfileName = (typeof PROFILE_NAMES)[number];
