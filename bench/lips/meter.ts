/** How long something took: CPU time of the whole process, ms each. */
export interface Figure {
  readonly count: number;
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
}

/** The smallest value that `part` (0 … 1) of the values do not exceed. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN;
}
export const figureOf = (values: readonly number[]): Figure => ({
  count: values.length,
  mean: values.reduce((sum, each) => sum + each, 0) / values.length,
  p50: quantile(values, 0.5),
  p95: quantile(values, 0.95),
});

/** Pictures a second that one core does of what costs `ms` of CPU each. */
export const ratePerCore = (ms: number): number => 1_000 / ms;
/** Part of a core that `fps` pictures a second take. */
export const coreShare = (ms: number, fps: number): number => (ms * fps) / 1_000;

/**
 * Counts the CPU time of this process, all of its threads, by stage and picture. What a stage does several times within a
 * picture is one sum; stages may lie within each other.
 */
export class Meter {
  readonly #stages = new Map<string, number[]>();
  readonly #now: () => number;
  #picture = new Map<string, number>();
  /** That are through. */
  pictures = 0;

  /** @param now CPU time so far, ms */
  constructor(
    now = () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1_000;
    },
  ) {
    this.#now = now;
  }

  time<T>(stage: string, work: () => T): T {
    const began = this.#now();
    const done = work();
    this.#add(stage, began);
    return done;
  }
  async wait<T>(stage: string, work: () => Promise<T>): Promise<T> {
    const began = this.#now();
    const done = await work();
    this.#add(stage, began);
    return done;
  }
  /** A picture is through: what no stage did for it took no time. */
  next(): void {
    const pictures = this.pictures;
    for (const [stage, ms] of this.#picture) {
      const all = this.#stages.get(stage) ?? Array.from<number>({ length: pictures }).fill(0);
      this.#stages.set(stage, all);
      all.push(ms);
    }
    this.pictures += 1;
    for (const all of this.#stages.values()) if (all.length < this.pictures) all.push(0);
    this.#picture = new Map();
  }
  /** What was done for all pictures at once. */
  share(stage: string, ms: number): void {
    this.#stages.set(stage, Array.from<number>({ length: this.pictures }).fill(ms / this.pictures));
  }

  /** Milliseconds a picture, in order; zeros where the stage never was. */
  of(stage: string): readonly number[] {
    return this.#stages.get(stage) ?? Array.from<number>({ length: this.pictures }).fill(0);
  }
  /** The same of several stages together. */
  together(stages: readonly string[]): number[] {
    const all = stages.map((stage) => this.of(stage));
    return Array.from({ length: this.pictures }, (_, n) => all.reduce((sum, each) => sum + each[n]!, 0));
  }

  #add(stage: string, began: number): void {
    this.#picture.set(stage, (this.#picture.get(stage) ?? 0) + this.#now() - began);
  }
}
