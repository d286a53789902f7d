import type { Figure } from './figure.ts';
import { MEASUREMENTS } from './measurements.ts';

/** One measurement in a process of its own: what it costs is its own, and a crash costs nobody else. */

/** What a process is asked for: its only argument, as JSON. */
export interface Asked {
  readonly name: string;
  readonly models: string;
  readonly media: string;
}
/** What it tells. */
export type Told =
  | { readonly type: 'progress'; readonly done: number; readonly total: number; readonly what: string }
  | { readonly type: 'figures'; readonly figures: readonly Figure[]; readonly cpu: number; readonly rssMiB: number }
  | { readonly type: 'failed'; readonly message: string };

/** Measures and tells; the process ends when everything is told. */
async function measure({ name, models, media }: Asked): Promise<void> {
  const tell = (told: Told) => new Promise<void>((sent) => process.send?.(told, () => sent()));
  try {
    const listed = MEASUREMENTS[name];
    if (!listed) throw new TypeError(`There is no measurement called '${name}'`);
    const measurement = await listed.load();
    const progress = (done: number, total: number, what: string) => void tell({ type: 'progress', done, total, what });
    const figures = await measurement.measure({ models, media, progress });
    const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
    await tell({ type: 'figures', figures, cpu: (userCPUTime + systemCPUTime) / 1e6, rssMiB: maxRSS / 1024 });
  } catch (failure) {
    await tell({
      type: 'failed',
      message: failure instanceof Error ? (failure.stack ?? failure.message) : String(failure),
    });
  }
  process.exit();
}

if (process.send && process.argv[2]) void measure(JSON.parse(process.argv[2]) as Asked);
