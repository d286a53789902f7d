/** One figure of one engine on one recording. */
export interface Figure {
  /** The kind of stage, or `chain` for several together. */
  readonly stage: string;
  /** The engine's id, with what matters of its settings. */
  readonly engine: string;
  /** The recording, or the set of recordings. */
  readonly clip: string;
  /** As the field calls it: `WER`, `DER collar 0.25 s`, `SI-SDR gain`, `real-time factor`. */
  readonly metric: string;
  /** `%`, `dB`, `ms`, `MiB`, or empty. */
  readonly unit: string;
  readonly value: number;
  readonly better: 'higher' | 'lower';
  /** What somebody else's implementation of the same makes of the same recording, measured in the same run. */
  readonly reference?: { readonly name: string; readonly value: number };
}

/** Where a measurement finds what it needs, and whom it tells how far it is. */
export interface Bench {
  /** Real weights, laid out as `shared/models`. */
  readonly models: string;
  /** Real recordings, laid out as `shared/media`. */
  readonly media: string;
  /** `done` of `total`, with what is being measured at present. */
  readonly progress: (done: number, total: number, what: string) => void;
}

/** Measures one kind of engine. What cannot be measured here is left out and said in `progress`. */
export interface Measurement {
  /** As in `npm run bench -- quality --only vad`. */
  readonly name: string;
  readonly measure: (bench: Bench) => Promise<readonly Figure[]>;
}
