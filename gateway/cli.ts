import { readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { Scope } from '../media/scope.ts';
import { FURTHEST } from '../media/time-map.ts';
import { PROFILE_NAMES } from '../models/store/profile-names.ts';
import { root } from './root.ts';
import {
  type CheckHlsOptions,
  type DemoOptions,
  type DoctorOptions,
  type DubOptions,
  type DubProgress,
  type EvalVideoOptions,
  type ModelsRequest,
  type RecordingsRequest,
  type ServeOptions,
  UsageError,
} from './commands.ts';
import { table } from './table.ts';

export { table };

/** What each command does. Every action ends when its scope closes, and answers the process's exit code. */
export interface Actions {
  serve(options: ServeOptions, scope: Scope): Promise<number>;
  demo(options: DemoOptions, scope: Scope): Promise<number>;
  dub(options: DubOptions, scope: Scope): Promise<number>;
  evalVideo(options: EvalVideoOptions, scope: Scope): Promise<number>;
  checkHls(options: CheckHlsOptions, scope: Scope): Promise<number>;
  doctor(options: DoctorOptions): Promise<number>;
  models(request: ModelsRequest, scope: Scope): Promise<number>;
  recordings(request: RecordingsRequest, scope: Scope): Promise<number>;
  languages(options: { json: boolean }): Promise<number>;
  engines(options: { json: boolean }): Promise<number>;
}

const FAILED = 1;
const MISUSED = 2;
/** A signal within this many milliseconds of the first is the same one, forwarded by npm as well as by the terminal. */
const SAME_SIGNAL = 1_000;
/** Milliseconds between the end of the command and leaving whatever handle is still open. */
const LINGER = 3_000;

const version = () => (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;

function port(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0 && value <= 65_535) return value;
  throw new InvalidArgumentError('Give a TCP port from 0 (any free one) to 65535.');
}
function positive(text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError('Give a number of seconds above 0.');
}
/** A number from `least` to `most`, or one of the words. */
const between =
  <W extends string = never>(least: number, most: number, unit: string, ...others: readonly W[]) =>
  (text: string): number | W => {
    const word = others.find((each) => each === text);
    if (word !== undefined) return word;
    const value = Number(text);
    if (text.trim() !== '' && value >= least && value <= most) return value;
    throw new InvalidArgumentError(
      `Give ${unit} from ${least} to ${most}${others.map((each) => `, or ${each}`).join('')}.`,
    );
  };
function stretchMost(text: string): number {
  const value = Number(text);
  if (value > 1 && value <= FURTHEST) return value;
  throw new InvalidArgumentError(`Give a number above 1, up to ${FURTHEST}: 1.5 is half as long again.`);
}
const words = (text: string, before: readonly string[] | undefined) => [...(before ?? []), ...text.split(',')];
function wholeNumber(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= 16) return value;
  throw new InvalidArgumentError('Give a whole number from 1 to 16.');
}
/** `es,ca` and `--to es --to ca` alike. */
function tags(text: string, before: readonly string[] | undefined): string[] {
  const named = text.split(',').map((tag) => tag.trim());
  for (const tag of named) {
    try {
      Intl.getCanonicalLocales(tag);
      if (tag === '') throw new RangeError();
    } catch {
      throw new InvalidArgumentError(`'${tag}' is no language tag; see: livedub languages`);
    }
  }
  return [...(before ?? []), ...named];
}

/** The command line's grammar. What the commands do comes in as `actions`; their exit code goes out through `exit`. */
export function grammar(actions: Actions, scope: Scope, exit: (code: number) => void): Command {
  const config = () => new Option('--config <file>', 'settings as JSON; see README.md, "Settings"');
  const json = () => new Option('--json', 'for programs').default(false);
  const profile = () =>
    new Option('--profile <name>', 'set of engines; see: livedub doctor --profile cpu').choices(PROFILE_NAMES);
  const engine = () =>
    new Option(
      '--engine <stage=engine>',
      'one stage by another engine, as often as needed; see: livedub engines',
    ).argParser((text: string, before: readonly string[] | undefined) => [...(before ?? []), text]);
  const mix = () => [
    new Option('--mix <mode>', 'the original under the dub: silent, lowered, or audible behind it').choices([
      'replace',
      'duck',
      'voice-over',
    ]),
    new Option('--under <dB>', 'level of the original under the dub (default: -20; -12 for voice-over)').argParser(
      between(-60, 0, 'decibels'),
    ),
    new Option('--loudness <LUFS>', 'loudness of what is made, or off (default: -23)').argParser(
      between(-40, -10, 'LUFS', 'off'),
    ),
  ];
  const delay = () =>
    new Option(
      '--delay <seconds>',
      'how late the programme is shown, or auto: as little as its lines need (default: 5)',
    ).argParser(between(2, 60, 'seconds', 'auto'));
  const withMix = (command: Command) => mix().reduce((each, option) => each.addOption(option), command);
  const program = new Command('livedub')
    .description('Streaming dubbing gateway: live speech in, a dubbed stream out a few seconds later.')
    .version(version(), '-V, --version')
    .showHelpAfterError('(livedub --help shows what can be asked)')
    .addHelpText(
      'after',
      `
Examples:
  livedub demo                                     see and hear the sample dubbed into Spanish
  livedub demo --headless --seconds 60 --out demo.mp4
  livedub serve --config livedub.json              the gateway, with its pages and its API
  livedub dub talk.mp4 --to es --out talk.es.mp4   a recording, as fast as this machine can
  livedub check hls http://HOST/…/index.m3u8       whether HLS keeps to its rules, ours or anybody's
  livedub doctor                                   what is installed, what is missing, and the fix
  livedub models pull --profile cpu                weights for better engines than the embedded

Exit codes: 0 done, 1 tried and failed, 2 asked wrongly.`,
    );
  program
    .command('serve')
    .description('run the gateway: API, WebRTC, viewer and publisher pages')
    .addOption(config())
    .option('--host <address>', 'address to listen on (default: 127.0.0.1)')
    .option('--port <number>', 'TCP port, 0 for any free one (default: 8080)', port)
    .addHelpText(
      'after',
      '\nExamples:\n  livedub serve\n  livedub serve --host 0.0.0.0 --port 443 --config livedub.json',
    )
    .action(async (options: ServeOptions) => exit(await actions.serve(options, scope)));
  withMix(program.command('demo'))
    .description('dub a sample programme, live; the page to watch it is printed and opened')
    .addOption(config())
    .addOption(delay())
    .option('--headless', 'no page: write what a viewer would receive to a file, with a report', false)
    .option('--seconds <number>', 'stop after this long', positive)
    .option('--out <file>', 'where --headless writes (default: demo.mp4)')
    .option('--json', 'the report of --headless as JSON')
    .option('--file <file>', 'play this instead of the sample')
    .option('--to <languages>', 'languages to dub into, comma-separated (default: es)', tags)
    .option('--port <number>', 'TCP port of the page', port)
    .addOption(profile())
    .addOption(engine())
    .option('--no-open', 'do not open a browser')
    .addHelpText(
      'after',
      '\nExamples:\n  livedub demo --to es\n  livedub demo --file my.mp4 --profile cpu\n  livedub demo --engine enhancer=gtcrn --engine diarizer=pyannote\n  livedub demo --mix voice-over --under -9 --delay auto\n  livedub demo --headless --seconds 60 --out demo.mp4',
    )
    .action(async ({ to, ...options }: Omit<DemoOptions, 'to'> & { to?: string[] }) => {
      if (options.out !== undefined && !options.headless) throw new UsageError('--out goes with --headless.');
      if (options.json && !options.headless) throw new UsageError('--json goes with --headless.');
      exit(await actions.demo({ ...options, to: to ?? ['es'] }, scope));
    });
  withMix(program.command('dub'))
    .description('dub a recording into a file, as fast as this machine can')
    .argument('<file>', 'any container FFmpeg reads')
    .addOption(config())
    .requiredOption('--to <languages>', 'languages to dub into, comma-separated', tags)
    .requiredOption('--out <file>', 'what to write: the picture, the original sound, one track per language')
    .option('--from <language>', 'language spoken in it', 'en')
    .addOption(
      new Option('--captions <format>', 'captions as files beside it too: talk.es.srt').choices(['srt', 'vtt']),
    )
    .addOption(
      new Option(
        '--video <how>',
        'stretch: where a line does not fit, the programme runs up to 20 % slower (default: keep)',
      ).choices(['keep', 'stretch']),
    )
    .addOption(
      new Option(
        '--stretch-most <factor>',
        'with --video stretch, how many times as long it may take there, up to 2; beyond 1.2 pictures are made between others (default: 1.2)',
      ).argParser(stretchMost),
    )
    .option('--lips [language]', 'the speakers’ mouths move with the dub (in the first language unless told)')
    .addOption(profile())
    .addOption(engine())
    .addHelpText(
      'after',
      '\nExamples:\n  livedub dub talk.mp4 --to es --out talk.es.mp4\n  livedub dub talk.mp4 --to es --out talk.es.mp4 --lips\n  livedub dub talk.mp4 --to es,ca --mix voice-over --loudness -16 --out talk.dubbed.mkv\n  livedub dub talk.mp4 --to es --out talk.es.mp4 --video stretch\n  livedub dub talk.mp4 --to es --out talk.es.mp4 --video stretch --stretch-most 1.5 --engine interpolator=minterpolate',
    )
    .action(async (file: string, options: Omit<DubOptions, 'file'>) => {
      if (options.stretchMost !== undefined && options.video !== 'stretch') {
        throw new UsageError('--stretch-most goes with --video stretch.');
      }
      exit(await actions.dub({ ...options, file }, scope));
    });
  const evaluate = program.command('eval').description('measure what a dub has become');
  evaluate.addHelpText('after', '\nExamples:\n  livedub eval video talk.mp4 talk.es.mp4');
  evaluate
    .command('video')
    .description('lips against sound, sharpness, identity and picture quality of a dubbed video; writes a page')
    .argument('<original>', 'the video that was dubbed')
    .argument('<dubbed>', 'the video with the dub')
    .option('--out <file>', 'the page (default: the dubbed file’s name with .eval.html, here)')
    .option('--track <number>', 'audio track of the dub (default: 2, or 1 where it is the only one)', wholeNumber)
    .option('--original-track <number>', 'audio track of the original (default: 1)', wholeNumber)
    .addOption(engine())
    .addOption(json())
    .addHelpText(
      'after',
      `
Examples:
  livedub eval video talk.mp4 talk.es.mp4
  livedub eval video talk.mp4 talk.es.mp4 --track 3 --out report.html
  livedub eval video talk.mp4 talk.es.mp4 --json > report.json
  livedub eval video talk.mp4 talk.es.mp4 --engine 'faceTracker=faces{"detector":"scrfd"}'

LSE-C, LSE-D, LPIPS and FID need networks: livedub models pull syncnet lpips-alex fid-inception, then
models/export/syncnet.py and models/export/perceptual.py. What has no network is left out, and said to be.`,
    )
    .action(async (original: string, dubbed: string, options: Omit<EvalVideoOptions, 'original' | 'dubbed'>) =>
      exit(await actions.evalVideo({ ...options, original, dubbed }, scope)),
    );
  const check = program.command('check').description('hold what a server sends against the standards');
  check.addHelpText('after', '\nExamples:\n  livedub check hls http://127.0.0.1:8080/v1/sessions/ID/hls/index.m3u8');
  check
    .command('hls')
    .description('play HLS or Low-Latency HLS, every rendition at once, and check playlists, media and timing')
    .argument('<url>', 'a multivariant or a media playlist')
    .option('--seconds <number>', 'how long to watch what is live', positive, 30)
    .option('--strict', 'warnings fail the check too', false)
    .addOption(json())
    .addHelpText(
      'after',
      `
Examples:
  livedub check hls http://127.0.0.1:8080/v1/sessions/ID/hls/index.m3u8
  livedub check hls https://example.org/live/main.m3u8 --seconds 120 --strict
  livedub check hls https://example.org/talk/video.m3u8 --json > findings.json

Rules are those of draft-pantos-hls-rfc8216bis ("bis") and of Apple's authoring specification; each finding names its
section. Errors break what players depend on and exit with 1; warnings do with --strict; notes never.`,
    )
    .action(async (url: string, options: Omit<CheckHlsOptions, 'url'>) => {
      if (!/^https?:\/\//u.test(url)) throw new UsageError(`'${url}' is no http or https address.`);
      exit(await actions.checkHls({ url, ...options }, scope));
    });
  program
    .command('doctor')
    .description('check what is installed, what is missing, and the fix')
    .addOption(json())
    .option('--port <number>', 'the port the gateway will use', port)
    .option('--profile <name>', 'also what this set of engines needs: embedded, cpu, gpu or cloud')
    .addHelpText('after', '\nExamples:\n  livedub doctor\n  livedub doctor --profile cpu')
    .action(async (options: DoctorOptions) => exit(await actions.doctor(options)));
  const ask = async (request: ModelsRequest) => exit(await actions.models(request, scope));
  const models = program.command('models').description('list, fetch, check, delete and serve the weights of engines');
  addModels(models, ask);
  addServing(models, ask);
  addRecordings(program.command('recordings'), async (request) => exit(await actions.recordings(request, scope)));
  program
    .command('languages')
    .description('list what can be dubbed into what')
    .addOption(json())
    .action(async (options: { json: boolean }) => exit(await actions.languages(options)));
  program
    .command('engines')
    .description('list the engines of each stage')
    .addOption(json())
    .action(async (options: { json: boolean }) => exit(await actions.engines(options)));
  return program;
}

/** `livedub models …`. */
function addModels(models: Command, ask: (request: ModelsRequest) => Promise<void>): void {
  models.addHelpText(
    'after',
    `
Examples:
  livedub models list                        what there is, what it is for, what is here
  livedub models pull --profile cpu          what the engines of a profile need
  livedub models pull gtcrn --from /media/stick
  livedub models verify                      read every byte again
  livedub models remove gtcrn
  livedub models serve pfld.onnx --device cuda    a server of networks for sessions on other machines
  livedub models triton ./repository pfld.onnx    the same networks for NVIDIA Triton

Models are kept in LIVEDUB_MODELS, or ~/.cache/livedub/models.`,
  );
  models
    .command('list')
    .description('every model: what it serves, its languages, licence, size and speed, and whether it is here')
    .option('--json', 'for programs', false)
    .addHelpText('after', '\nExamples:\n  livedub models list\n  livedub models list --json')
    .action(({ json }: { json: boolean }) => ask({ do: 'list', json }));
  models
    .command('pull')
    .description('fetch models; what was begun before is continued')
    .argument('[names...]', 'as in livedub models list')
    .option('--profile <name>', 'the models of this set of engines: embedded, cpu, gpu or cloud')
    .option('--pairs <pairs>', 'what the profile’s translator is for, comma-separated (default: en:es)', words)
    .option('--lips', 'the models that see mouths, and who speaks: what livedub dub --lips uses')
    .option('--mirror <url>', 'fetch <url>/<sha256>, or else <url>/<name>/<file> (default: LIVEDUB_MODELS_MIRROR)')
    .option('--from <directory>', 'take files from anywhere below it: by hash, by <name>/<file> or by file name')
    .option('--parallel <number>', 'files at once', wholeNumber, 3)
    .option('--accept-licence', 'accept the terms of weights that may not be used commercially', false)
    .addHelpText(
      'after',
      `
Examples:
  livedub models pull gtcrn deepfilternet3
  livedub models pull --profile cpu
  livedub models pull --profile cpu --pairs en:es,en:fr
  livedub models pull --lips
  livedub models pull gtcrn --mirror https://models.example.org/livedub
  livedub models pull gtcrn --from /media/stick

Nothing is put in its place before its length and SHA-256 are right. Ctrl-C keeps what has come: the same command goes
on from there. Through a proxy: Node 22.21 or later with HTTPS_PROXY and NODE_USE_ENV_PROXY=1.`,
    )
    .action((names: string[], options: Omit<Extract<ModelsRequest, { do: 'pull' }>, 'do' | 'names'>) =>
      ask({ do: 'pull', names, ...options }),
    );
  models
    .command('verify')
    .description('read models again and compare their hashes; what is wrong is taken out')
    .argument('[names...]', 'all that are here when none is named')
    .addHelpText('after', '\nExamples:\n  livedub models verify\n  livedub models verify gtcrn')
    .action((names: string[]) => ask({ do: 'verify', names }));
  models
    .command('remove')
    .description('delete models; files that other models share stay')
    .argument('<names...>', 'as in livedub models list')
    .option('--forget', 'also the hashes that were recorded when files were first fetched', false)
    .addHelpText('after', '\nExamples:\n  livedub models remove gtcrn\n  livedub models remove whisper-tiny --forget')
    .action((names: string[], { forget }: { forget: boolean }) => ask({ do: 'remove', names, forget }));
}

/** `livedub models serve` and `livedub models triton`. */
function addServing(models: Command, ask: (request: ModelsRequest) => Promise<void>): void {
  const networks = (command: Command) =>
    command
      .option('--models <directory>', 'all networks there: FILE.onnx, or NAME/VERSION/model.onnx')
      .option('--shape <shape>', 'sizes a network leaves open: MODEL:INPUT=1x3x256x256, as often as needed', each)
      .option('--max-batch <number>', 'items in one run, at most', whole(1, 1_024), 16)
      .option('--preferred <numbers>', 'numbers of items for which nobody waits any longer, as 4,8', wholes(1, 1_024))
      .option('--delay <ms>', 'how long the first request waits for others', between(0, 1_000, 'milliseconds'), 2)
      .option('--fp16', 'half precision: serve FILE_fp16.onnx, which lies beside FILE.onnx', false);
  networks(
    models
      .command('serve')
      .description('compute networks for sessions elsewhere: Open Inference Protocol (KServe v2), HTTP and gRPC')
      .argument('[models...]', 'a file, NAME=FILE, or a model of the store'),
  )
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--port <number>', 'TCP port of HTTP, 0 for any free one', port, 8_000)
    .option('--grpc-port <number>', 'TCP port of gRPC, 0 for any free one', port, 8_001)
    .addOption(new Option('--device <name>', 'what computes').choices(['cpu', 'cuda', 'tensorrt']).default('cpu'))
    .option('--gpu <number>', 'which GPU, counted from 0', whole(0, 63), 0)
    .option('--threads <number>', 'CPU threads of one network', whole(1, 64), 1)
    .addHelpText(
      'after',
      `
Examples:
  livedub models serve pfld.onnx
  livedub models serve landmarks=pfld.onnx --device cuda --preferred 4,8,16 --delay 3
  livedub models serve --models ./repository --shape yunet:input=1x3x320x320
  LIVEDUB_MODEL_SERVER_TOKEN=… livedub models serve pfld.onnx --host 0.0.0.0

Engines reach it at http://HOST:8000 or grpc://HOST:8001. Each network's throughput is measured when it starts: it says
how many faces it carries (GET /v2/livedub/capacity), and refuses more. Numbers for Prometheus are at /metrics. With
LIVEDUB_MODEL_SERVER_TOKEN set, clients must carry that token; connections are not encrypted.`,
    )
    .action((names: string[], options: Omit<Extract<ModelsRequest, { do: 'serve' }>, 'do' | 'names'>) =>
      ask({ do: 'serve', names, ...options }),
    );
  networks(
    models
      .command('triton')
      .description('write a model repository for NVIDIA Triton, with a config.pbtxt per network')
      .argument('<out>', 'directory of the repository; models that are there under the same names are replaced')
      .argument('[models...]', 'a file, NAME=FILE, or a model of the store'),
  )
    .addOption(new Option('--device <name>', 'what Triton computes on').choices(['cpu', 'gpu']).default('gpu'))
    .option('--gpus <numbers>', 'which GPUs, counted from 0, as 0,1 (default: all)', wholes(0, 63))
    .option('--instances <number>', 'instances of a network per device', whole(1, 64), 1)
    .option('--tensorrt', 'by TensorRT; with --fp16 in half precision, from the whole file', false)
    .option('--copy', 'copy files in place of linking them', false)
    .addHelpText(
      'after',
      `
Examples:
  livedub models triton ./repository pfld.onnx
  livedub models triton ./repository landmarks=pfld.onnx --gpus 0,1 --preferred 4,8,16 --tensorrt --fp16
  tritonserver --model-repository=./repository

Networks with inputs or outputs that Triton does not take are refused, by name. Those whose items cannot be computed
together, and those with sizes left open and no --shape, are written without the dynamic batcher.`,
    )
    .action(
      (out: string, names: string[], options: Omit<Extract<ModelsRequest, { do: 'triton' }>, 'do' | 'names' | 'out'>) =>
        ask({ do: 'triton', out, names, ...options }),
    );
}
/** `livedub recordings …`. */
function addRecordings(recordings: Command, ask: (request: RecordingsRequest) => Promise<void>): void {
  type Common = Pick<RecordingsRequest, 'config' | 'directory' | 'json'>;
  const command = (name: string, description: string) =>
    recordings
      .command(name)
      .description(description)
      .addOption(new Option('--config <file>', 'settings as JSON; see README.md, "Settings"'))
      .option('--directory <path>', 'where recordings are (default: recordings.directory of the settings)')
      .option('--json', 'for programs', false);
  recordings.description('list, finish, delete and check what sessions recorded').addHelpText(
    'after',
    `
Examples:
  livedub recordings list                    what there is, how long, in which languages
  livedub recordings recover                 finish those whose gateway was killed
  livedub recordings prune --keep-days 30 --dry-run
  livedub recordings verify                  read every byte again, as a player would

A gateway that runs does all but the last by itself; the same commands may be given while it does.`,
  );
  command('list', 'every recording: session, length, languages, size, and whether it is finished')
    .addHelpText(
      'after',
      '\nExamples:\n  livedub recordings list\n  livedub recordings list --config livedub.json --json',
    )
    .action((options: Common) => ask({ do: 'list', ...options }));
  command('recover', 'finish recordings whose writer is gone; those that are being written are left alone')
    .addHelpText(
      'after',
      '\nExamples:\n  livedub recordings recover\n  livedub recordings recover --directory /var/recordings',
    )
    .action((options: Common) => ask({ do: 'recover', ...options }));
  command('prune', 'delete recordings that are too old or too many, the oldest first')
    .option('--keep-days <days>', 'in place of recordings.keepDays', between(0.01, 3_650, 'days'))
    .option('--keep-gigabytes <size>', 'in place of recordings.keepGigabytes', between(0, 1e9, 'gigabytes'))
    .option('--dry-run', 'say what would be deleted, and delete nothing', false)
    .addHelpText(
      'after',
      '\nExamples:\n  livedub recordings prune --keep-days 30 --dry-run\n  livedub recordings prune --keep-gigabytes 200\n\nWhat waits to be uploaded stays, and so does what Livedub did not make.',
    )
    .action((options: Common & { keepDays?: number; keepGigabytes?: number; dryRun: boolean }) =>
      ask({ do: 'prune', ...options }),
    );
  command('verify', 'read recordings to the last byte and compare them with what was written down')
    .argument('[names...]', 'as in livedub recordings list; all when none is named')
    .addHelpText('after', '\nExamples:\n  livedub recordings verify\n  livedub recordings verify talk --json')
    .action((names: string[], options: Common) => ask({ do: 'verify', names, ...options }));
}
const each = (text: string, before: readonly string[] | undefined) => [...(before ?? []), text];
const whole = (least: number, most: number) => (text: string) => {
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new InvalidArgumentError(`Give a whole number from ${least} to ${most}.`);
};
const wholes = (least: number, most: number) => (text: string) => text.split(',').map(whole(least, most));

/** How far work is, as one line. */
export function progressLine({ fraction, speed }: DubProgress, elapsed: number, columns: number): string {
  const left = fraction > 0 ? (elapsed * (1 - fraction)) / fraction : undefined;
  const facts = `${(fraction * 100).toFixed(0).padStart(3)} %  ${speed === undefined ? '' : `${speed.toFixed(1)}×  `}${left === undefined ? '' : `${clockFace(left)} left`}`;
  const room = Math.max(0, Math.min(40, columns - facts.length - 4));
  return `${'█'.repeat(Math.round(room * fraction)).padEnd(room, '░')}  ${facts}`;
}
const clockFace = (seconds: number) =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;

const print = (text: string) => void process.stdout.write(`${text}\n`);
const closed = (scope: Scope) =>
  new Promise<void>((done) =>
    scope.signal.aborted ? done() : scope.signal.addEventListener('abort', () => done(), { once: true }),
  );

/** Work that tells how far it is: a bar on a terminal, else a line every ten seconds. */
async function withProgress<T>(work: (tell: (progress: DubProgress) => void) => Promise<T>): Promise<T> {
  const start = performance.now();
  const tty = process.stderr.isTTY;
  let said = 0;
  const done = await work((progress) => {
    const elapsed = (performance.now() - start) / 1_000;
    if (!tty && progress.fraction < 1 && elapsed - said < 10) return;
    said = elapsed;
    const line = progressLine(progress, elapsed, process.stderr.columns || 80);
    process.stderr.write(tty ? `\r\x1b[2K${line}` : `${line}\n`);
  });
  if (tty) process.stderr.write('\n');
  return done;
}

// Each command loads what it needs when it is asked for, so that `doctor` runs where the rest cannot.
const ACTIONS: Actions = {
  async serve({ config, ...http }, scope) {
    const { loadConfig } = await import('./settings.ts');
    const { serve } = await import('./serve.ts');
    const gateway = await serve(loadConfig(config, process.env, { http }));
    scope.defer(() => gateway.close());
    print(`Livedub listens at ${gateway.url}  (Ctrl-C stops it)`);
    await closed(scope);
    return 0;
  },
  async demo(options, scope) {
    const { demo } = await import('./demo.ts');
    return demo(options, scope);
  },
  async dub(options, scope) {
    const { dubFile } = await import('./dub-file.ts');
    print(await withProgress((tell) => dubFile(options, scope, tell)));
    return 0;
  },
  async evalVideo(options, scope) {
    const { evalVideo } = await import('./eval-video.ts');
    print(await withProgress((tell) => evalVideo(options, scope, tell)));
    return 0;
  },
  async checkHls(options, scope) {
    const { checkHls } = await import('./check-hls.ts');
    const { text, passed } = await checkHls(options, scope);
    print(text);
    return passed ? 0 : FAILED;
  },
  async doctor({ json, ...options }) {
    const { examine, healthy, report } = await import('./doctor.ts');
    const checks = await examine(options);
    print(
      json
        ? JSON.stringify(checks, null, 2)
        : report(checks, { colour: process.stdout.isTTY && !process.env['NO_COLOR'] }),
    );
    return healthy(checks) ? 0 : FAILED;
  },
  async models(request, scope) {
    const { models } = await import('./models-command.ts');
    return models(request, scope);
  },
  async recordings(request, scope) {
    const { loadConfig } = await import('./settings.ts');
    const { recordings } = await import('./recordings-command.ts');
    const { config, directory } = request;
    const settings = loadConfig(config, process.env, { recordings: { directory } });
    const err = (text: string) => void process.stderr.write(`${text}\n`);
    // The bar first, then what was found.
    const lines: string[] = [];
    const desk = { out: (text: string) => void lines.push(text), err, date: Date.now };
    const work = (tell: (fraction: number) => void) => recordings(request, settings, { ...desk, tell }, scope);
    const long = request.do === 'verify' || request.do === 'recover';
    const code = await (long ? withProgress((tell) => work((fraction) => tell({ fraction }))) : work(() => {}));
    for (const line of lines) print(line);
    return code;
  },
  async languages({ json }) {
    const { languageRows } = await import('../models/languages.ts');
    const { installedModes } = await import('../models/translate/apertium.ts');
    const rows = languageRows(new Set(installedModes().keys()));
    const cells = rows.map((row) => [
      `${row.from} → ${row.to}`,
      row.name,
      row.english,
      row.install.length === 0 ? 'ready' : `needs ${row.install.join(' ')}`,
      row.note,
    ]);
    print(json ? JSON.stringify(rows, null, 2) : table([['tags', 'name', 'in English', 'state', 'note'], ...cells]));
    return 0;
  },
  async engines({ json }) {
    const { registry } = await import('../models/index.ts');
    const cards = registry().list();
    const cells = cards.map((card) => [
      card.kind,
      card.id,
      card.missing.length === 0 ? 'ready' : `needs ${card.missing.join(' ')}`,
      card.licence,
      card.summary,
    ]);
    print(
      json ? JSON.stringify(cards, null, 2) : table([['stage', 'engine', 'state', 'licence', 'what it is'], ...cells]),
    );
    return 0;
  },
};

const everyCommand = (command: Command): Command[] => [command, ...command.commands.flatMap(everyCommand)];

/** Whether the person who typed the command can put it right by typing another. */
const askedWrongly = (thrown: unknown) =>
  thrown instanceof Error && ['UsageError', 'ConfigError', 'NoRoute', 'Refusal'].includes(thrown.name);

/** What went wrong and, where it is known, what to do about it. */
function sentences(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const fix = 'fix' in thrown && typeof thrown.fix === 'string' ? thrown.fix : undefined;
  return fix === undefined ? thrown.message : `${thrown.message.replace(/\.?$/, '.')} ${fix}`;
}

/**
 * Runs one command line and answers its exit code. SIGINT and SIGTERM close what it opened; a second one leaves at once.
 *
 * @param argv without `node` and the script
 */
export async function main(argv: readonly string[], actions: Actions = ACTIONS): Promise<number> {
  const scope = new Scope('livedub');
  let first = 0;
  const stop = (signal: NodeJS.Signals) => {
    if (first && performance.now() - first > SAME_SIGNAL) process.exit(signal === 'SIGINT' ? 130 : 143);
    first ||= performance.now();
    void scope.close().catch(() => {});
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  let code = 0;
  try {
    const program = grammar(actions, scope, (answered) => (code = answered));
    for (const each of everyCommand(program)) each.exitOverride();
    if (argv.length === 0) program.help({ error: true });
    await program.parseAsync(argv, { from: 'user' });
  } catch (thrown) {
    if (thrown instanceof CommanderError) code = thrown.exitCode === 0 ? 0 : MISUSED;
    else if (first === 0) {
      // Node's own stack is for us: LIVEDUB_STACK shows it, a person gets the sentence.
      process.stderr.write(`livedub: ${sentences(thrown)}\n`);
      if (process.env['LIVEDUB_STACK'] && thrown instanceof Error) process.stderr.write(`${thrown.stack}\n`);
      code = askedWrongly(thrown) ? MISUSED : FAILED;
    }
  } finally {
    await scope.close().catch((thrown: unknown) => process.stderr.write(`livedub: ${String(thrown)}\n`));
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
  return code;
}

/** `main` for a process of its own. */
export async function run(): Promise<void> {
  process.exitCode = await main(process.argv.slice(2));
  setTimeout(() => process.exit(), LINGER).unref();
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) await run();
