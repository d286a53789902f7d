import type { Interval, MediaTime } from '../media/time.ts';
import type { Box, Patch, VideoFrame } from '../media/video-frame.ts';
import type { Language, SpeakerId, UtteranceId } from './domain.ts';

/** A face as long as it is followed without a break. The same person after a cut has another. */
export type FaceId = string & { readonly kind: 'face' };

/** Where a head looks, degrees; 0 is into the camera. Yaw is positive to the picture's right, pitch upwards, roll clockwise. */
export interface Pose {
  readonly yaw: number;
  readonly pitch: number;
  readonly roll: number;
}

/**
 * Why a mouth is better left alone: turned away by more than 45°, something in front of it, too few pixels, blurred by
 * its motion, right after a cut, or not certain to be there.
 */
export type Unfit = 'profile' | 'occluded' | 'small' | 'fast' | 'cut' | 'lost';

/** A face in one picture. Positions are pixels of the luma plane, from its upper left corner. */
export interface Face {
  readonly id: FaceId;
  readonly box: Box;
  /** 68 points as x, y, x, y … in the order of iBUG 300-W: 0–16 jaw, 48–59 outer lips, 60–67 inner lips. */
  readonly landmarks: Float32Array;
  readonly pose: Pose;
  /** How far the inner lips are apart, in parts of the distance between the eyes' centres. */
  readonly opening: number;
  /** 0 … 1: how certain it is that this is a face, here. */
  readonly score: number;
  /** Unit length; the cosine of two tells whether they are one person. Given now and then. */
  readonly embedding?: Float32Array;
  readonly unfit?: Unfit;
}

/** What is seen in one picture. */
export interface Seen {
  readonly start: MediaTime;
  readonly faces: readonly Face[];
  /** The picture does not go on from the one before it. */
  readonly cut: boolean;
}

/** A face as the active speaker network looks at it, 25 pictures a second. */
export interface FaceStrip {
  readonly id: FaceId;
  /** 112 × 112 grey, one after the other; the first is at the scene's start. Absent pictures repeat the one before. */
  readonly grey: Uint8Array;
}
/** A stretch of programme with everybody who is seen in it, and what is heard: 16 kHz mono. */
export interface Scene extends Interval {
  readonly faces: readonly FaceStrip[];
  readonly pcm: Float32Array;
}
/** Whose mouth goes with the sound: per face one score a picture, 25 a second; above 0 it speaks. */
export interface Speaking extends Interval {
  readonly faces: readonly { readonly id: FaceId; readonly scores: Float32Array }[];
}

/** A speech sound of a dub in IPA, where it is heard. */
export interface Phoneme extends Interval {
  readonly text: string;
}

/** What one face is to say: one clip, with the stretch of source that it replaces. The interval holds both. */
export interface Take extends Interval {
  readonly utterance: UtteranceId;
  readonly speaker: SpeakerId;
  readonly language: Language;
  /** Where the dub is heard. */
  readonly clip: Interval;
  /** The dub as it is heard from `clip.start` on, 16 kHz mono. */
  readonly pcm: Float32Array;
  /** Its sounds, in order, silence left out; nothing where the synthesizer does not tell. */
  readonly phonemes?: readonly Phoneme[];
}

/** One picture of a face to drive, or only to get to know. */
export interface Shot extends Interval {
  readonly frame: VideoFrame;
  readonly face: Face;
  /** Left out: the driver only looks at the face, and answers with no patches. Given to drivers whose `caps.watches` is set. */
  readonly take?: Take;
  /** 0 … 1: how much of the driven mouth is seen, for fading in and out. */
  readonly weight: number;
}
/** A driven picture: what of the shot's picture is to be replaced. Without patches it stays as it was. */
export interface Driven {
  readonly start: MediaTime;
  readonly face: FaceId;
  readonly patches: readonly Patch[];
  /** Why there are none. */
  readonly unfit?: Unfit;
}

/** A driven picture to be made sharper, with what it was made of. */
export interface Rough extends Interval {
  readonly frame: VideoFrame;
  readonly face: Face;
  readonly driven: Driven;
}

/** Two pictures that follow each other, and how many are wanted between them at even distances. */
export interface Pair extends Interval {
  readonly before: VideoFrame;
  readonly after: VideoFrame;
  readonly count: number;
}
