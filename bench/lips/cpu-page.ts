import { bars, escape, page, table } from '../plots.ts';
import type { CpuResult } from './cpu.ts';
import { REEL_HEAD, SELDOM_HEAD, STAGE_HEAD, reelRows, seldomRows, stageRows } from './cpu-text.ts';
import { STAGES } from './path.ts';

/** The result as one self-contained page. */
export function cpuPage({ machine, when, load, size, rounds, reels }: CpuResult): string {
  return page('What moving mouths costs', [
    `<p>${escape(machine)}, load ${load[0].toFixed(2)} before and ${load[1].toFixed(2)} after. ${when.slice(0, 16).replace('T', ' ')} UTC. ${size.width} × ${size.height}, ${rounds} rounds. CPU time of all threads of the process.</p>`,
    table(REEL_HEAD, reelRows(reels)),
    bars(
      'The whole path with VP8 (tick: FFmpeg encodes every picture anew)',
      'ms a picture',
      reels.map(({ name, whole, plain }) => [name, whole.VP8.mean, plain.VP8]),
    ),
    ...reels.map(({ name, stages }) =>
      bars(
        `${name}: stage by stage (tick: 95 % of the pictures take less)`,
        'ms a picture',
        STAGES('VP8').map(([stage]) => [stage, stages[stage]!.mean, stages[stage]!.p95]),
      ),
    ),
    ...reels.flatMap((reel) => [`<h2>${escape(reel.name)}</h2>`, table(STAGE_HEAD, stageRows(reel))]),
    '<h2>Looking less often</h2>',
    table(SELDOM_HEAD, seldomRows(reels)),
  ]);
}
