export interface ServeOptions {
  readonly config?: string;
  readonly host?: string;
  readonly port?: number;
}
export interface DemoOptions {
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
}
export interface DubOptions {
  readonly config?: string;
  readonly file: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly out: string;
}
/** Where a dub is. */
export interface DubProgress {
  /** 0 to 1. */
  readonly fraction: number;
  /** Programme seconds per second since the start. */
  readonly speed: number;
}

/** Asked for in a way that cannot be done, as against tried and failed. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
