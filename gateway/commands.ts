import type { MixOptions } from './mix-options.ts';

export interface ServeOptions {
  readonly config?: string;
  readonly host?: string;
  readonly port?: number;
}
export interface DemoOptions extends MixOptions {
  readonly config?: string;
  /** No page: what a viewer would receive is written to `out`. */
  readonly headless: boolean;
  /** How long to run; for ever when not given, or 60 when headless. */
  readonly seconds?: number;
  readonly out?: string;
  /** The programme to play in place of the sample. */
  readonly file?: string;
  readonly to: readonly string[];
  readonly port?: number;
  readonly open: boolean;
  /** Seconds the programme is shown late. */
  readonly delay?: number | 'auto';
  /** Headless, the report as JSON in place of words. */
  readonly json?: boolean;
  readonly profile?: string;
  /** `STAGE=ENGINE` each. */
  readonly engine?: readonly string[];
}
export interface DubOptions extends MixOptions {
  readonly config?: string;
  readonly file: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly out: string;
  /** Captions as files beside `out` too. */
  readonly captions?: 'srt' | 'vtt';
  readonly profile?: string;
  /** `STAGE=ENGINE` each. */
  readonly engine?: readonly string[];
  /** `stretch`: where a line does not fit, the programme runs slower. As it is unless given. */
  readonly video?: 'keep' | 'stretch';
  /** How many times as long it may take there: 1 … 2, a fifth longer unless given. Beyond that, pictures are made between others. */
  readonly stretchMost?: number;
  /** Mouths move with the dub in this language; `true`: in the first. */
  readonly lips?: string | true;
}
/** Where a dub is. */
export interface DubProgress {
  /** 0 to 1. */
  readonly fraction: number;
  /** Programme seconds per second since the start; left out for other work. */
  readonly speed?: number;
}

export interface EvalVideoOptions {
  readonly original: string;
  readonly dubbed: string;
  /** The page to write. */
  readonly out?: string;
  /** Print the report as JSON in place of words. */
  readonly json: boolean;
  /** Which audio track of the dubbed video is the dub, from 1 on. */
  readonly track?: number;
  readonly originalTrack?: number;
  /** `faceTracker=ENGINE`, or `faceTracker=ENGINE{SETTINGS}` with settings as JSON. */
  readonly engine?: readonly string[];
}

export interface CheckHlsOptions {
  /** A multivariant or a media playlist. */
  readonly url: string;
  /** How long a live presentation is watched. */
  readonly seconds: number;
  readonly json: boolean;
  /** Warnings count too. */
  readonly strict: boolean;
}

export interface DoctorOptions {
  readonly json: boolean;
  readonly port?: number;
  /** A set of engines whose needs are looked at, too. */
  readonly profile?: string;
}
/** Which networks, and how items are computed together. */
interface Networks {
  /** Files, `NAME=FILE`, or models of the store. */
  readonly names: readonly string[];
  /** A directory of networks, all of which are meant. */
  readonly models?: string;
  /** `MODEL:INPUT=1x3x256x256` each. */
  readonly shape?: readonly string[];
  readonly maxBatch: number;
  readonly preferred?: readonly number[];
  /** Milliseconds. */
  readonly delay: number;
  readonly fp16: boolean;
}
export interface ModelsServeRequest extends Networks {
  readonly do: 'serve';
  readonly host: string;
  readonly port: number;
  readonly grpcPort: number;
  readonly device: 'cpu' | 'cuda' | 'tensorrt';
  readonly gpu: number;
  readonly threads: number;
}
export interface ModelsTritonRequest extends Networks {
  readonly do: 'triton';
  readonly out: string;
  readonly device: 'cpu' | 'gpu';
  readonly gpus?: readonly number[];
  readonly instances: number;
  readonly tensorrt: boolean;
  readonly copy: boolean;
}
/** What is asked of `livedub models`. */
export type ModelsRequest =
  | { readonly do: 'list'; readonly json: boolean }
  | {
      readonly do: 'pull';
      readonly names: readonly string[];
      readonly profile?: string;
      /** Languages, as in `en:es`, that the models of a profile are pulled for. */
      readonly pairs?: readonly string[];
      /** Also what sees mouths and who speaks. */
      readonly lips?: boolean;
      readonly mirror?: string;
      readonly from?: string;
      readonly parallel: number;
      readonly acceptLicence: boolean;
    }
  | ModelsServeRequest
  | ModelsTritonRequest
  | { readonly do: 'verify'; readonly names: readonly string[] }
  | { readonly do: 'remove'; readonly names: readonly string[]; readonly forget: boolean };

/** What is asked of `livedub recordings`, and with which settings. */
export type RecordingsRequest = { readonly config?: string; readonly directory?: string; readonly json: boolean } & (
  | { readonly do: 'list' | 'recover' }
  | { readonly do: 'verify'; readonly names: readonly string[] }
  | {
      readonly do: 'prune';
      /** In place of what the settings say. */
      readonly keepDays?: number;
      readonly keepGigabytes?: number;
      /** Says what would be deleted, and deletes nothing. */
      readonly dryRun: boolean;
    }
);

/** Asked for in a way that cannot be done, as against tried and failed. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
