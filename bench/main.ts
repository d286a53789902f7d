import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from '../gateway/root.ts';
import { Scope } from '../media/scope.ts';
import { broadcast } from './broadcast/broadcast.ts';
import { UnknownDoor, doors } from './doors/doors.ts';
import { UnknownSet, fit } from './fit/fit.ts';
import { hours } from './hours/hours.ts';
import { realHours } from './hours/real.ts';
import { NETWORKS } from './lips/gpu.ts';
import { lips } from './lips/lips.ts';
import { UnknownLips } from './lips/unknown-lips.ts';
import { LATENCY_DEFAULTS, latency, latencyText } from './latency.ts';
import { UnknownMeasurement, quality } from './quality/quality.ts';
import { serveBench } from './serve.ts';
import { sessions } from './sessions.ts';
import { anyFailed } from './verdicts.ts';

const HELP = `npm run bench -- latency [options]     from mouth to ear, through real browsers and the real SFU
npm run bench -- sessions [options]    how many dubbed audio programmes this machine carries at once
npm run bench -- quality [options]     what each engine makes of real recordings, beside a reference where there is one
npm run bench -- fit [options]         how dubs fit their speakers' time, on real speech and on timing made to be hard
npm run bench -- hours [options]       whether delay, picture and memory stay where they are, for hours
npm run bench -- broadcast [options]   SRT in, Low-Latency HLS out in two languages: timing, A/V, every rule of HLS
npm run bench -- serve [options]       what a model server costs a call, and gains by computing calls together
npm run bench -- lips [options]        what moving mouths costs the CPU, stage by stage; mouths × fps a core
npm run bench -- lips --gpu [options]  MuseTalk's live path at real sizes: FLOPs, ms by batch, faces per GPU
npm run bench -- doors [options]       delay that each way in and out adds, by clients that are not ours

latency:
  --file FILE      programme to publish (default: the demo's sample)
  --to TAG         language to dub into (default: es)
  --seconds N      how long to measure (default: 60)
  --delay N        seconds the programme is shown late (default: 5)
  --plain          no browsers: the session plays the file, and the SFU's output is measured
  --profile NAME   set of engines, as in livedub demo
  --engine S=E     one stage by another engine, as in livedub demo; may be given several times
sessions:
  --counts LIST    sessions at once, comma-separated (default: 1,2,3,4,5,6)
  --seconds N      how long to measure each (default: 45)
quality:
  --only NAME      measure this alone, as in vad; may be given several times
  --profile NAME   measure the engines of this profile alone, as in embedded
  --models DIR     real weights, laid out as MODELS.md has them (default: $LIVEDUB_MODELS, else ../shared/models)
  --media DIR      real recordings, laid out as MEDIA.md has them (default: $LIVEDUB_MEDIA, else ../shared/media)
fit:
  --only NAME      clips, live, adversary or rivals, or one set as in adversary/bursts; may be given several times
  --pairs LIST     languages, comma-separated (default: every pair that is installed, as in en:es,es:en)
  --seed N         which timing the adversary makes up (default: 1)
  --models DIR, --media DIR   as for quality
hours:
  --hours N        simulated hours (default: 8)
  --drift PPM      how much faster the publisher's clock is (default: 500)
  --outage N       seconds without a voice in the middle; 0 for none (default: 60)
  --delay N        seconds the programme is shown late (default: 5)
  --seed N         which talk is made up (default: 1)
  --real N         in real time through WebRTC and two browsers, for so many minutes, in place of the simulation
  --plain          with --real: no browsers; the session plays the file, and the SFU's output is measured
  --file FILE      with --real: programme to publish (default: the demo's sample), again and again
broadcast:
  --minutes N      how long (default: 10)
  --delay N        seconds the programme is shown late (default: 5)
  --to LIST        languages to dub into, comma-separated (default: es,ca)
  --file FILE      somebody who speaks, again and again (default: a recording of --media)
  --media DIR      as for quality
serve:
  --models DIR     as for quality
lips:
  --size WxH       size of the pictures (default: 640x360)
  --seconds N      how much of each clip (default: 5)
  --rounds N       passes over each clip, after one that warms up (default: 2)
  --models DIR     real weights, as for quality, or a model store
  --media DIR      as for quality
lips --gpu:
  --gpu            networks on a GPU; without one what can be counted is counted
  --networks DIR   exported networks (default: ~/.cache/livedub/bench/musetalk)
  --batches LIST   pictures at once, comma-separated (default: 1,2,4,8,16,32)
  --peak T,B       what the GPU can do: TFLOP/s in half precision, and GB/s (default: measured)
  --step           without a GPU: run every network once on the CPU and check what it makes
doors:
  --only LIST      ways by name, comma-separated, as in srt,in/hls,out/webrtc
  --seconds N      how long to measure each (default: 5)
  --markdown       print the table of docs/interop.md in place of the figures
  --media DIR      as for quality
all:
  --out DIR        where results go as JSON and as a page with plots (default: out/bench)

Examples:
  npm run bench -- latency --seconds 120
  npm run bench -- latency --file talk.mp4 --plain
  npm run bench -- sessions --counts 2,4,6,8
  npm run bench -- quality --only recognizer --only synthesizer
  npm run bench -- fit --only clips --pairs en:es
  npm run bench -- fit --only adversary/bursts --only rivals
  npm run bench -- hours --hours 0.5 --drift=-200
  npm run bench -- hours --real 30
  npm run bench -- broadcast --minutes 2
  npm run bench -- serve
  npm run bench -- lips --size 1280x720
  npm run bench -- lips --gpu --batches 1,8,32
  npm run bench -- doors
  npm run bench -- doors --only in/rtp,srt,ll-hls --seconds 20
  npm run bench -- doors --markdown`;

/** Asked for in a way that cannot be done. */
class UsageError extends Error {}

function asked() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        file: { type: 'string' },
        to: { type: 'string' },
        minutes: { type: 'string', default: '10' },
        seconds: { type: 'string' },
        delay: { type: 'string', default: String(LATENCY_DEFAULTS.delay) },
        pairs: { type: 'string' },
        seed: { type: 'string', default: '1' },
        hours: { type: 'string', default: '8' },
        drift: { type: 'string', default: '500' },
        outage: { type: 'string', default: '60' },
        real: { type: 'string' },
        counts: { type: 'string', default: '1,2,3,4,5,6' },
        out: { type: 'string', default: LATENCY_DEFAULTS.out },
        only: { type: 'string', multiple: true, default: [] },
        profile: { type: 'string' },
        engine: { type: 'string', multiple: true, default: [] },
        models: { type: 'string', default: process.env['LIVEDUB_MODELS'] ?? join(root, '../shared/models') },
        media: { type: 'string', default: process.env['LIVEDUB_MEDIA'] ?? join(root, '../shared/media') },
        plain: { type: 'boolean', default: false },
        size: { type: 'string', default: '640x360' },
        rounds: { type: 'string', default: '2' },
        gpu: { type: 'boolean', default: false },
        step: { type: 'boolean', default: false },
        networks: { type: 'string', default: NETWORKS },
        batches: { type: 'string', default: '1,2,4,8,16,32' },
        peak: { type: 'string' },
        markdown: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (failure) {
    throw new UsageError(failure instanceof Error ? failure.message : String(failure));
  }
}

function seconds(option: string, text: string | undefined, otherwise: number): number {
  const value = text === undefined ? otherwise : Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new UsageError(`--${option} must be a number of seconds above 0, received ${text}`);
}

function number(option: string, text: string, least = Number.NEGATIVE_INFINITY): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value >= least) return value;
  throw new UsageError(`--${option} must be a number${least === 0 ? ', 0 or more' : ''}, received ${text}`);
}

function positive(option: string, text: string): number {
  const value = number(option, text);
  if (value > 0) return value;
  throw new UsageError(`--${option} must be above 0, received ${text}`);
}

function wholeNumber(option: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new UsageError(`--${option} must be a whole number above 0, received ${text}`);
}

function sizeOf(text: string): { readonly width: number; readonly height: number } {
  const [, width, height] = (/^(\d+)x(\d+)$/.exec(text) ?? []).map(Number);
  if (width && height && width % 4 === 0 && height % 2 === 0) return { width, height };
  throw new UsageError(`--size must be as in 640x360, width a multiple of 4, height of 2; received ${text}`);
}

async function run(scope: Scope): Promise<number> {
  const { values, positionals } = asked();
  const { file, to = LATENCY_DEFAULTS.to, out } = values;
  const [what] = positionals;
  if (values.help || what === undefined) {
    console.log(HELP);
    return values.help ? 0 : 2;
  }
  switch (what) {
    case 'latency': {
      const result = await latency(
        {
          file,
          to,
          seconds: seconds('seconds', values.seconds, LATENCY_DEFAULTS.seconds),
          delay: seconds('delay', values.delay, LATENCY_DEFAULTS.delay),
          out,
          browser: !values.plain,
          engine: values.engine,
          ...(values.profile !== undefined && { profile: values.profile }),
        },
        scope,
      );
      console.log(
        `${latencyText(result, process.stdout.columns)}\n\nresults                    ${out}/latency.json, ${out}/latency.html`,
      );
      return 0;
    }
    case 'sessions': {
      const counts = values.counts.split(',').map(Number);
      if (counts.some((count) => !Number.isInteger(count) || count < 1))
        throw new UsageError(`--counts must be whole numbers, received ${values.counts}`);
      await sessions({ file, to, counts, seconds: seconds('seconds', values.seconds, 45), out }, scope);
      console.log(`\nresults  ${out}/sessions.json, ${out}/sessions.html`);
      return 0;
    }
    case 'quality': {
      const { only, profile } = values;
      const [models, media] = [resolve(values.models), resolve(values.media)];
      const { runs } = await quality({ only, profile, models, media, out }, scope);
      console.log(`\nresults  ${out}/quality.json, ${out}/quality.html`);
      return runs.some(({ failure }) => failure !== undefined) ? 1 : 0;
    }
    case 'fit': {
      const { only, pairs } = values;
      const [models, media] = [resolve(values.models), resolve(values.media)];
      const { verdicts } = await fit(
        { only, pairs: pairs?.split(',') ?? [], models, media, out, seed: number('seed', values.seed) },
        scope,
      );
      console.log(`\nresults  ${out}/fit.json, ${out}/fit.html`);
      return anyFailed(verdicts) ? 1 : 0;
    }
    case 'hours': {
      const delay = seconds('delay', values.delay, LATENCY_DEFAULTS.delay);
      const verdicts =
        values.real === undefined
          ? await hours(
              {
                hours: positive('hours', values.hours),
                drift: number('drift', values.drift),
                outage: number('outage', values.outage, 0),
                delay,
                seed: number('seed', values.seed),
                media: resolve(values.media),
                out,
              },
              scope,
            )
          : await realHours(
              { minutes: positive('real', values.real), file, to, delay, out, browser: !values.plain },
              scope,
            );
      return anyFailed(verdicts) ? 1 : 0;
    }
    case 'broadcast': {
      const talk = file ?? join(resolve(values.media), 'talking/open-dubbing/englishvideo.mp4');
      if (!existsSync(talk)) throw new UsageError(`There is no ${talk}; --file names another`);
      const verdicts = await broadcast(
        {
          minutes: positive('minutes', values.minutes),
          file: talk,
          to: (values.to ?? 'es,ca').split(','),
          delay: seconds('delay', values.delay, LATENCY_DEFAULTS.delay),
          out,
        },
        scope,
      );
      console.log(`\nresults  ${out}/broadcast.json, ${out}/broadcast.html`);
      return anyFailed(verdicts) ? 1 : 0;
    }
    case 'serve': {
      const light = join(root, 'test/fixtures/runtime/scale.onnx');
      const network = join(resolve(values.models), 'face/pfld/pfld.onnx');
      if (!existsSync(network)) throw new UsageError(`There is no ${network}; --models names where it is`);
      console.log(await serveBench({ light, network, item: [3, 112, 112], clients: 16, out }, scope));
      console.log(`\nresults  ${out}/serve.json`);
      return 0;
    }
    case 'lips': {
      const batches = values.batches.split(',').map((text) => positive('batches', text));
      const [flops, bytes] = (values.peak?.split(',') ?? []).map((text) => positive('peak', text));
      const peak = flops === undefined || bytes === undefined ? {} : { flops: flops * 1e12, bytes: bytes * 1e9 };
      const [models, media] = [resolve(values.models), resolve(values.media)];
      const length = seconds('seconds', values.seconds, 5);
      const rounds = wholeNumber('rounds', values.rounds);
      return lips(
        {
          gpu: values.gpu ? { networks: resolve(values.networks), batches, out, step: values.step, peak } : undefined,
          cpu: { models, media, size: sizeOf(values.size), seconds: length, rounds, out },
        },
        scope,
      );
    }
    case 'doors': {
      const { only, markdown } = values;
      const length = seconds('seconds', values.seconds, 5);
      if (length > 20) throw new UsageError(`--seconds is 20 at most for doors, received ${values.seconds}`);
      return anyFailed(await doors({ only, seconds: length, media: resolve(values.media), out, markdown }, scope))
        ? 1
        : 0;
    }
    default:
      throw new UsageError(
        `There is no bench called '${what}'; there is latency, sessions, quality, fit, hours, broadcast, doors, serve and lips`,
      );
  }
}

const scope = new Scope('bench');
process.once('SIGINT', () => void scope.close());
try {
  process.exitCode = await run(scope);
} catch (failure) {
  const usage =
    failure instanceof UsageError ||
    failure instanceof UnknownMeasurement ||
    failure instanceof UnknownSet ||
    failure instanceof UnknownDoor ||
    failure instanceof UnknownLips;
  process.exitCode = usage ? 2 : 1;
  console.error(usage ? failure.message : failure);
} finally {
  await scope.close().catch(() => {});
}
process.exit();
