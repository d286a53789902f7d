import { z } from 'zod';

/** What is measured, in the order in which it is shown. */
export const MEASURES = {
  lseD: {
    title: 'LSE-D',
    unit: '',
    better: 'lower',
    says: 'Distance between lips and sound as SyncNet sees and hears them, at the shift where it is least.',
  },
  lseC: {
    title: 'LSE-C',
    unit: '',
    better: 'higher',
    says: 'How much less that distance is than at other shifts: how sure it is that these lips say this.',
  },
  syncOffset: {
    title: 'A/V offset, SyncNet',
    unit: 'ms',
    better: 'zero',
    says: 'By how much the sound comes after the lips that go with it; negative: before. In steps of one picture, 40 ms.',
  },
  mouthOffset: {
    title: 'A/V offset, opening',
    unit: 'ms',
    better: 'zero',
    says: 'The same from how far the mouth is open and how strong vowels are, without a network. Mouths open some 50 to 100 ms before they are heard.',
  },
  mouthCorrelation: {
    title: 'Opening against its own sound',
    unit: '',
    better: 'higher',
    says: 'Correlation of the mouth’s opening with the strength of vowels (500 … 4000 Hz) in the sound that is heard with it.',
  },
  mouthCorrelationBefore: {
    title: 'Opening against the original’s sound',
    unit: '',
    better: 'lower',
    says: 'The same with the sound of the original: what is left of the old words.',
  },
  closedInSilence: {
    title: 'Mouth closed in silence',
    unit: '%',
    better: 'higher',
    says: 'Share of pictures within silences of 0.2 s and more in which the mouth is closed.',
  },
  landmarkDistance: {
    title: 'LMD',
    unit: 'eye distances',
    better: 'lower',
    says: 'Mean distance between the mouth’s landmarks and those of the original. Low where both say the same; a dub has other words.',
  },
  landmarkVelocity: {
    title: 'LMVD',
    unit: 'eye distances/s',
    better: 'lower',
    says: 'The same for how fast they move.',
  },
  sharpness: {
    title: 'Sharpness of the mouth',
    unit: '×',
    better: 'one',
    says: 'Variance of the Laplacian within the mouth over that of the rest of the face, against the original’s. Below 1: blurred.',
  },
  identity: {
    title: 'Identity',
    unit: '',
    better: 'higher',
    says: 'Cosine of the mean face embeddings. Above 0.8 the same person, below 0.3 another (MobileFaceNet).',
  },
  ssim: {
    title: 'SSIM',
    unit: '',
    better: 'higher',
    says: 'Structural similarity of the whole picture with the original’s, luma.',
  },
  ssimOutside: {
    title: 'SSIM outside of faces',
    unit: '',
    better: 'higher',
    says: 'The same without faces and what is close to them: what encoding alone has done.',
  },
  lpips: {
    title: 'LPIPS',
    unit: '',
    better: 'lower',
    says: 'How different the face looks from the original’s to people (AlexNet), every tenth picture.',
  },
  fid: {
    title: 'FID of the face',
    unit: '',
    better: 'lower',
    says: 'Fréchet distance of the faces’ Inception features, of up to 256 pictures: few, so only to be compared with figures that were made the same way.',
  },
  jitterFace: {
    title: 'Jitter of the face',
    unit: 'eye distances',
    better: 'lower',
    says: 'Mean second difference of eyes, brows and nose from picture to picture.',
  },
  jitterMouth: {
    title: 'Jitter of the mouth',
    unit: 'eye distances',
    better: 'lower',
    says: 'The same of the mouth against eyes and nose; speech itself is some of it.',
  },
  facesSeen: {
    title: 'Faces found again',
    unit: '%',
    better: 'higher',
    says: 'Share of the pictures with a face in which the dubbed one shows a face in the same place.',
  },
} as const satisfies Record<
  string,
  { title: string; unit: string; better: 'higher' | 'lower' | 'zero' | 'one'; says: string }
>;
export type MeasureName = keyof typeof MEASURES;
export const MEASURE_NAMES = Object.keys(MEASURES) as readonly MeasureName[];

const Figure = z.strictObject({
  /** Of the dubbed video; `null` where it cannot be told. */
  value: z.number().nullable(),
  /** The same of the original by itself; `null` where that means nothing or cannot be told. */
  original: z.number().nullable(),
  /** Why there is no value. */
  why: z.string().nullable(),
});
export type Figure = z.output<typeof Figure>;

export const MOMENTS = ['blurred', 'changed outside', 'trembling', 'open in silence', 'face lost'] as const;
const Moment = z.strictObject({
  /** Seconds from the beginning. */
  at: z.number(),
  what: z.enum(MOMENTS),
  value: z.number(),
});
export type Moment = z.output<typeof Moment>;

const Line = z.array(z.number().nullable());
/** What `livedub eval video` finds. */
export const VideoReport = z.strictObject({
  version: z.literal(1),
  /** Pictures that were compared, 25 a second. */
  pictures: z.number().int(),
  seconds: z.number(),
  measures: z.strictObject(
    Object.fromEntries(MEASURE_NAMES.map((name) => [name, Figure])) as Record<MeasureName, typeof Figure>,
  ),
  worst: z.array(Moment),
  /** 25 values a second: openings in eye distances, `null` where no face is seen; levels 0 … 1. */
  strip: z.strictObject({
    openings: z.strictObject({ original: Line, dubbed: Line }),
    levels: z.strictObject({ original: z.array(z.number()), dubbed: z.array(z.number()) }),
  }),
});
export type VideoReport = z.output<typeof VideoReport>;
