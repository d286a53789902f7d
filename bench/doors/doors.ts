import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Config } from '../../gateway/config.ts';
import { serve } from '../../gateway/serve.ts';
import type { Scope } from '../../media/scope.ts';
import { Browsers, CHROMIUM } from '../browser.ts';
import { machine } from '../machine.ts';
import { type Tell, longTime, teller } from '../progress.ts';
import { type Verdict, verdictText } from '../verdicts.ts';
import { type DoorsResult, doorsMarkdown, doorsPage, doorsText, doorsVerdicts } from './doors-text.ts';
import { type House, IN_DOORS } from './in-doors.ts';
import { DELAY, measureIn } from './measure-in.ts';
import { measureOut } from './measure-out.ts';
import type { Measured } from './measured.ts';
import { OUT_DOORS } from './out-doors.ts';
import { makeReel } from './reel.ts';

export interface DoorsOptions {
  /** Doors by name, `in/srt`, `out/srt`, or `srt` for both; all of them when empty. */
  readonly only: readonly string[];
  /** How long each is measured. */
  readonly seconds: number;
  /** Where real recordings are. */
  readonly media: string;
  readonly out: string;
  /** Say it as the table of docs/interop.md. */
  readonly markdown: boolean;
}

/** There is no such door. */
export class UnknownDoor extends Error {}

const CLIP = 'talking/open-dubbing/englishvideo.mp4';
/** What opening and settling takes beside measuring, seconds: as long a reel is needed. */
const OPENING = 60;
const BROWSERS_ALONE = 3;
const RESOLUTION = 1;

const NAMES = [...IN_DOORS.map(({ name }) => `in/${name}`), ...OUT_DOORS.map(({ name }) => `out/${name}`)];

/** Which doors are asked for: `only` as in {@link DoorsOptions}. */
export function askedFor(only: readonly string[]): ReadonlySet<string> {
  const asked = only.flatMap((text) => text.split(',')).filter((name) => name !== '');
  const found = asked.map((name) => NAMES.filter((each) => each === name || each.endsWith(`/${name}`)));
  const unknown = asked.find((_, n) => found[n]?.length === 0);
  if (unknown !== undefined) throw new UnknownDoor(`There is no door '${unknown}'; there is ${NAMES.join(', ')}`);
  return new Set(asked.length === 0 ? NAMES : found.flat());
}

/**
 * How much delay each door adds, in and out, by clients that are not ours.
 *
 * The programme is a real face whose pictures say their numbers (`time-code.ts`). A way in is measured from the moment
 * the bench gives a picture's last byte away to its last packet as plain RTP from the SFU, less the programme's delay,
 * and beside it the same sender to FFmpeg with nothing of ours between. A way out is measured from that packet to the
 * decoded picture at a client. Every moment is read outside of what is measured. One session a way in; one for all ways out.
 * Writes `doors.json` and `doors.html`.
 */
export async function doors(options: DoorsOptions, scope: Scope, tell: Tell = teller()): Promise<readonly Verdict[]> {
  const asked = askedFor(options.only);
  const clip = join(options.media, CLIP);
  if (!existsSync(clip)) throw new UnknownDoor(`There is no ${clip}; --media names where recordings are`);
  const ins = IN_DOORS.filter(({ name }) => asked.has(`in/${name}`));
  const outs = OUT_DOORS.filter(({ name }) => asked.has(`out/${name}`));
  const steps = 1 + ins.length + (outs.length > 0 ? 1 + outs.filter(({ alone }) => alone).length : 0);
  const began = performance.now();
  let done = 0;
  const step = (what: string) => {
    const left = done === 0 ? '' : `, ${longTime(((performance.now() - began) / 1_000 / done) * (steps - done))} left`;
    tell(done / steps, `${what}${left}`);
    done += 1;
  };

  const folder = await mkdtemp(join(tmpdir(), 'livedub-doors-'));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const recordings = join(folder, 'recordings');
  const settings = { http: { port: 0 }, rtc: { workers: 1 }, log: { level: 'error' } };
  const gateway = await serve(Config.parse({ ...settings, recordings: { directory: recordings, spareGigabytes: 0 } }));
  scope.defer(() => gateway.close());
  const browsers = existsSync(CHROMIUM) ? await Browsers.open(gateway.url, scope) : undefined;
  step('making the programme');
  const length = OPENING + (BROWSERS_ALONE + 1) * (options.seconds + 10);
  const reel = await makeReel(clip, Math.min(length, 160), folder, scope);
  const house: House = { reel, folder, url: gateway.url, browsers };
  const loop = monitorEventLoopDelay({ resolution: RESOLUTION });
  loop.enable();
  scope.defer(() => loop.disable());

  const rows: Measured[] = [];
  for (const door of ins) {
    step(`in ${door.name}`);
    rows.push(await measureIn(door, { house, gateway, seconds: options.seconds }, scope));
  }
  const { seconds } = options;
  if (outs.length > 0)
    rows.push(
      ...(await measureOut(outs, { house, gateway, seconds, recordings, tell: (name) => step(`out ${name}`) }, scope)),
    );
  tell(1, '');

  const noting = (share: number) => Math.max(0, loop.percentile(share) / 1e6 - RESOLUTION);
  const result: DoorsResult = {
    machine: machine(),
    when: new Date().toISOString(),
    programme: basename(clip),
    seconds,
    delay: DELAY,
    noting: { p50: noting(50), p99: noting(99) },
    rows,
    verdicts: doorsVerdicts(rows),
  };
  await mkdir(options.out, { recursive: true });
  await writeFile(join(options.out, 'doors.json'), `${JSON.stringify(result, null, 2)}\n`);
  await writeFile(join(options.out, 'doors.html'), doorsPage(result));
  console.log(options.markdown ? doorsMarkdown(result) : `${doorsText(result)}\n\n${verdictText(result.verdicts)}`);
  if (!options.markdown) console.log(`\nresults  ${options.out}/doors.json, ${options.out}/doors.html`);
  return result.verdicts;
}
