import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import { availableParallelism, homedir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { library } from '../media/native.ts';
import { cacheRoot, workerPath } from './checkout.ts';
import { root } from './root.ts';

/** One thing this machine has or lacks. */
export interface Check {
  readonly name: string;
  /** `missing`: needed and not there. `absent`: something is smaller or slower without it. */
  readonly state: 'ok' | 'missing' | 'absent';
  readonly found: string;
  readonly needed: string;
  /** What to type or do; empty when there is nothing to do. */
  readonly fix: string;
}

type Finding = { readonly found: string; readonly ok: boolean };
interface Question {
  readonly name: string;
  readonly needed: string;
  readonly fix: string;
  readonly optional?: boolean;
  /** What is there. Throwing is an answer too: not there, for this reason. */
  look(): Promise<Finding> | Finding;
}

/** Milliseconds a program has for its answer. */
const PATIENCE = 15_000;
const GIB = 2 ** 30;
const apt = (names: string) => `sudo apt-get install -y --no-install-recommends ${names}`;
const SET_UP = 'npm run setup';

async function output(program: string, args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(program, args, { timeout: PATIENCE, maxBuffer: 1 << 24 });
  return stdout || stderr;
}
const firstLine = (text: string) => text.trim().split('\n')[0] ?? '';
/** A system library under the loader's name, and under Homebrew's. */
const loads = (linux: string, mac: string, needs: string) => (): Finding => {
  library([linux, mac], needs);
  return { found: linux, ok: true };
};

/** FFmpeg's codecs that a programme may come in or go out with. */
const ENCODERS = ['libx264', 'libvpx', 'libopus', 'aac'];
const DECODERS = ['h264', 'hevc', 'vp8', 'vp9', 'aac', 'mp3', 'opus'];

/** Those of `wanted` that are not in what `ffmpeg -encoders` or `-decoders` prints. */
export function lackedCodecs(listing: string, wanted: readonly string[]): string[] {
  const names = new Set(listing.split('\n').map((line) => /^ [A-Z.]{6} (\S+)/.exec(line)?.[1]));
  return wanted.filter((name) => !names.has(name));
}

async function portFree(host: string, port: number): Promise<Finding> {
  const server = createServer();
  await new Promise<void>((done, fail) => server.once('error', fail).listen(port, host, done));
  await new Promise((done) => server.close(done));
  return { found: 'free', ok: true };
}

function folder(variable: string, fallback: string): Finding {
  const path = resolve(process.env[variable] ?? join(root, '..', 'shared', fallback));
  return existsSync(path)
    ? { found: `${path}, ${readdirSync(path).length} entries`, ok: true }
    : { found: 'none', ok: false };
}

async function modelStore(): Promise<Finding> {
  const { storeRoot } = await import('../models/store/weights.ts');
  const path = join(storeRoot(), 'models');
  const models = existsSync(path) ? readdirSync(path) : [];
  return { found: models.length === 0 ? 'none' : `${models.length} in ${storeRoot()}`, ok: models.length > 0 };
}

function questions(port: number): Question[] {
  return [
    {
      name: 'Node',
      needed: '20.19 or later',
      fix: 'https://nodejs.org/en/download',
      look() {
        const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
        return { found: process.versions.node, ok: major > 20 || (major === 20 && minor >= 19) };
      },
    },
    {
      name: 'Built code',
      needed: 'dist/gateway, dist/client',
      fix: 'npm run build',
      look() {
        const lacks = ['dist/gateway/cli.js', 'dist/client/index.html'].filter((file) => !existsSync(join(root, file)));
        return { found: lacks.length === 0 ? 'both' : `no ${lacks.join(', no ')}`, ok: lacks.length === 0 };
      },
    },
    {
      name: 'ffmpeg',
      needed: '5.1 or later',
      fix: apt('ffmpeg'),
      async look() {
        const version = /version (?:n|\d+:)?(\d+)\.(\d+)(\S*)/.exec(await output('ffmpeg', ['-version']));
        const [, major, minor, rest] = version ?? [];
        const ok = Number(major) > 5 || (Number(major) === 5 && Number(minor) >= 1);
        return { found: version ? `${major}.${minor}${rest}` : 'unknown version', ok };
      },
    },
    {
      name: 'ffmpeg codecs',
      needed: `encoders ${ENCODERS.join(' ')}, decoders ${DECODERS.join(' ')}`,
      fix: apt('ffmpeg'),
      async look() {
        const out = lackedCodecs(await output('ffmpeg', ['-hide_banner', '-encoders']), ENCODERS);
        const into = lackedCodecs(await output('ffmpeg', ['-hide_banner', '-decoders']), DECODERS);
        const lacks = [...out.map((name) => `encoder ${name}`), ...into.map((name) => `decoder ${name}`)];
        return { found: lacks.length === 0 ? 'all' : `no ${lacks.join(', no ')}`, ok: lacks.length === 0 };
      },
    },
    {
      name: 'libavcodec',
      needed: 'libavcodec 59, codecs of driven pictures',
      fix: apt('libavcodec59'),
      look: loads('libavcodec.so.59', 'libavcodec.59.dylib', 'libavcodec59'),
    },
    {
      name: 'Opus',
      needed: 'libopus, codec of the live loop',
      fix: apt('libopus0'),
      look: loads('libopus.so.0', 'libopus.0.dylib', 'libopus0'),
    },
    {
      name: 'PocketSphinx',
      needed: 'libpocketsphinx 5prealpha',
      fix: apt('libpocketsphinx3'),
      look: loads('libpocketsphinx.so.3', 'libpocketsphinx.3.dylib', 'libpocketsphinx3'),
    },
    {
      name: 'English model',
      needed: 'PocketSphinx en-us',
      fix: apt('pocketsphinx-en-us'),
      look() {
        const path = '/usr/share/pocketsphinx/model/en-us';
        const lacks = ['en-us', 'en-us.lm.bin', 'cmudict-en-us.dict'].filter((name) => !existsSync(join(path, name)));
        return { found: lacks.length === 0 ? path : `no ${lacks.join(', no ')} in ${path}`, ok: lacks.length === 0 };
      },
    },
    {
      name: 'Apertium',
      needed: 'English to Spanish',
      fix: apt('apertium apertium-eng-spa'),
      async look() {
        const modes = (await output('apertium', ['-l'])).split(/\s+/).filter(Boolean);
        return { found: modes.join(' '), ok: modes.some((mode) => mode === 'eng-spa' || mode === 'en-es') };
      },
    },
    {
      name: 'eSpeak NG',
      needed: 'libespeak-ng',
      fix: apt('libespeak-ng1'),
      look: loads('libespeak-ng.so.1', 'libespeak-ng.1.dylib', 'libespeak-ng1'),
    },
    {
      name: 'eSpeak voices',
      needed: 'Spanish',
      fix: apt('espeak-ng espeak-ng-data'),
      async look() {
        const rows = (await output('espeak-ng', ['--voices'])).trim().split('\n').slice(1);
        return { found: `${rows.length} voices`, ok: rows.some((row) => /^\s*\d+\s+es\s/.test(row)) };
      },
    },
    {
      name: 'Flite',
      needed: 'libflite, for dubs into English',
      fix: apt('libflite1'),
      look: loads('libflite.so.1', 'libflite.1.dylib', 'libflite1'),
    },
    {
      name: 'Flite voices',
      needed: 'slt and rms, for the sample',
      fix: apt('flite fonts-dejavu-core'),
      async look() {
        const voices = firstLine(await output('flite', ['-lv']))
          .replace(/^.*:\s*/, '')
          .trim()
          .split(/\s+/);
        return { found: voices.join(' '), ok: voices.includes('slt') && voices.includes('rms') };
      },
    },
    {
      name: 'ONNX runtime',
      needed: 'loads',
      fix: 'npm ci',
      async look() {
        // In a process of its own: a library that crashes while loading must not take the report with it.
        const code =
          'process.env.ORT_DISABLE_TELEMETRY="1";require("onnxruntime-node");console.log(require("onnxruntime-node/package.json").version)';
        const args = ['-e', code];
        const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, timeout: PATIENCE });
        return { found: firstLine(stdout), ok: true };
      },
    },
    {
      name: 'mediasoup worker',
      needed: 'starts on this machine',
      fix: SET_UP,
      async look() {
        const path = await workerPath();
        return { found: path ?? 'none', ok: path !== undefined };
      },
    },
    {
      name: `Port ${port}`,
      needed: 'free, for the gateway',
      fix: 'stop what listens there, or choose another: --port',
      optional: true,
      look: () => portFree('127.0.0.1', port),
    },
    {
      name: 'Cores',
      needed: '2 or more',
      fix: 'fewer sessions at once',
      optional: true,
      look: () => ({ found: String(availableParallelism()), ok: availableParallelism() >= 2 }),
    },
    {
      name: 'Memory',
      needed: '2 GiB or more',
      fix: 'fewer sessions at once',
      optional: true,
      look: () => ({ found: `${(totalmem() / GIB).toFixed(1)} GiB`, ok: totalmem() >= 1.9 * GIB }),
    },
    {
      name: 'Disk',
      needed: '1 GiB free for the cache',
      fix: 'make room, or set LIVEDUB_CACHE',
      optional: true,
      async look() {
        const cache = await cacheRoot();
        const disk = await statfs(existsSync(cache) ? cache : homedir());
        const free = disk.bavail * disk.bsize;
        return { found: `${(free / GIB).toFixed(1)} GiB free, ${cache}`, ok: free >= GIB };
      },
    },
    {
      name: 'Chromium',
      needed: 'for the tests',
      fix: apt('chromium'),
      optional: true,
      look: async () => ({ found: firstLine(await output('chromium', ['--version'])), ok: true }),
    },
    {
      name: 'Redis',
      needed: 'for several gateways, and the tests',
      fix: apt('redis-server'),
      optional: true,
      async look() {
        const said = await output('redis-server', ['--version']);
        return { found: /v=(\S+)/.exec(said)?.[1] ?? firstLine(said), ok: true };
      },
    },
    {
      name: 'GPU',
      needed: 'for large models',
      fix: '',
      optional: true,
      look: async () => ({
        found: firstLine(await output('nvidia-smi', ['--query-gpu=name,memory.total', '--format=csv,noheader'])),
        ok: true,
      }),
    },
    {
      name: 'Models',
      needed: 'for engines beyond the embedded',
      fix: 'livedub models pull --profile cpu',
      optional: true,
      look: modelStore,
    },
    {
      name: 'Test recordings',
      needed: 'for tests with real speech',
      fix: 'set LIVEDUB_MEDIA',
      optional: true,
      look: () => folder('LIVEDUB_MEDIA', 'media'),
    },
  ];
}

async function answer(question: Question): Promise<Check> {
  const { name, needed, fix } = question;
  const bad = question.optional ? 'absent' : 'missing';
  try {
    const { found: there, ok } = await question.look();
    const found = there.replace(homedir(), '~');
    return { name, needed, found, state: ok ? 'ok' : bad, fix: ok ? '' : fix };
  } catch (thrown) {
    return { name, needed, found: reasonOf(thrown), state: bad, fix };
  }
}

function reasonOf(thrown: unknown): string {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  if (code === 'ENOENT') return 'not installed';
  if (code === 'EADDRINUSE') return 'in use';
  return firstLine(thrown instanceof Error ? thrown.message : String(thrown)).slice(0, 120);
}

/** Looks at everything a session, the demo and the tests need. Takes a second or two and changes nothing. */
export async function examine({ port = 8080, profile }: { port?: number; profile?: string } = {}): Promise<Check[]> {
  const { checkLips } = await import('./lip-checks.ts');
  const named = profile === undefined ? [] : await import('./profile-checks.ts').then((it) => it.checkProfile(profile));
  return [...(await Promise.all(questions(port).map(answer))), ...checkLips(), ...named];
}

/** Whether sessions can run. */
export const healthy = (checks: readonly Check[]): boolean => checks.every((check) => check.state !== 'missing');

const MARK = { ok: '✔ ok', missing: '✘ missing', absent: '– absent' } as const;
const COLOUR = { ok: '\x1b[32m', missing: '\x1b[31m', absent: '\x1b[33m' } as const;

/** The report for a person: one row per check, fixes below, a verdict at the end. */
export function report(checks: readonly Check[], { colour = false }: { colour?: boolean } = {}): string {
  const paint = (text: string, state: Check['state']) => (colour ? `${COLOUR[state]}${text}\x1b[0m` : text);
  const width = (cells: readonly string[]) => Math.max(...cells.map((cell) => cell.length));
  const [mark, name, found] = [
    width(Object.values(MARK)),
    width(checks.map((check) => check.name)),
    Math.min(48, width(checks.map((check) => check.found))),
  ];
  const rows = checks.map(
    (check) =>
      `${paint(MARK[check.state].padEnd(mark), check.state)}  ${check.name.padEnd(name)}  ${check.found.padEnd(found)}  ${check.needed}`,
  );
  const head = `${''.padEnd(mark)}  ${'check'.padEnd(name)}  ${'found'.padEnd(found)}  needed`;
  const fixes = checks.filter((check) => check.fix).map((check) => `  ${check.name}: ${check.fix}`);
  const lacking = checks.filter((check) => check.state === 'missing').length;
  const verdict =
    lacking === 0
      ? paint('Everything needed is there.', 'ok')
      : paint(`${lacking} needed ${lacking === 1 ? 'thing is' : 'things are'} missing.`, 'missing');
  return [head, ...rows, '', ...(fixes.length > 0 ? ['Fixes:', ...fixes, ''] : []), verdict].join('\n');
}
