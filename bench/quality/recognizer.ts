import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Scope } from '../../media/scope.ts';
import { toMs } from '../../media/time.ts';
import { registry } from '../../models/index.ts';
import { type WordErrors, errorRate, plainWords, wordErrors } from '../metrics/word-errors.ts';
import type { Bench, Figure, Measurement } from './figure.ts';
import { type Heard, heard, median, segmented } from './hearing.ts';
import { decode } from './stage-run.ts';
import { type Transcribed, transcribed } from './transcripts.ts';

/** An engine with settings, and somebody else's implementation to compare it with. */
interface Candidate {
  readonly id: string;
  /** As the table calls it; the id first. */
  readonly name: string;
  readonly settings: (bench: Bench) => object;
  readonly reference?: { readonly name: string; readonly text: (file: string) => string | undefined };
}
const candidates: readonly Candidate[] = [
  {
    id: 'pocketsphinx',
    name: 'pocketsphinx',
    settings: () => ({}),
    reference: { name: 'pocketsphinx_continuous', text: byCommandLine },
  },
  { id: 'zipformer', name: 'zipformer', settings: () => ({ language: 'en' }) },
];

/** What PocketSphinx's own program makes of a recording, with its default model; nothing where it is not installed. */
function byCommandLine(file: string): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'livedub-bench-'));
  try {
    const wav = join(folder, 'clip.wav');
    execFileSync('ffmpeg', ['-v', 'error', '-i', file, '-ac', '1', '-ar', '16000', '-c:a', 'pcm_s16le', wav]);
    const args = ['-infile', wav, '-logfn', '/dev/null'];
    return execFileSync('pocketsphinx_continuous', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw failure;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface Result {
  readonly set: string;
  readonly ours: WordErrors;
  readonly theirs: WordErrors | undefined;
  readonly heard: Heard;
  readonly seconds: number;
}

async function measureOne(
  candidate: Candidate,
  clips: readonly Transcribed[],
  bench: Bench,
  done: number,
  total: number,
) {
  const scope = new Scope(`bench ${candidate.name}`);
  try {
    const vad = await registry().load('vad', 'silero', {}, scope);
    const recognizer = await registry().load('recognizer', candidate.id, candidate.settings(bench), scope);
    const results: Result[] = [];
    for (const [n, { set, file, text }] of clips.entries()) {
      bench.progress(done + n, total, `${candidate.name}: ${set}, recording ${n + 1} of ${clips.length}`);
      const pcm = decode(file, 16_000);
      const made = await heard(recognizer, await segmented(pcm, vad));
      const said = plainWords(text);
      const theirs = candidate.reference?.text(file);
      results.push({
        set,
        heard: made,
        ours: wordErrors(said, plainWords(made.text)),
        theirs: theirs === undefined ? undefined : wordErrors(said, plainWords(theirs)),
        seconds: pcm.length / 16_000,
      });
    }
    if (candidate.reference && results.every(({ theirs }) => theirs === undefined)) {
      bench.progress(done + clips.length, total, `${candidate.reference.name} left out: it is not installed`);
    }
    return figuresOf(candidate, results);
  } finally {
    await scope.close();
  }
}

function figuresOf({ name, reference }: Candidate, results: readonly Result[]): Figure[] {
  const figure = (clip: string, metric: string, unit: string, value: number): Figure => ({
    stage: 'recognizer',
    engine: name,
    clip,
    metric,
    unit,
    value,
    better: 'lower',
  });
  const rate = (clip: string, some: readonly Result[]): Figure => {
    const theirs = some.flatMap((each) => each.theirs ?? []);
    const ours = figure(clip, 'WER', '%', 100 * errorRate(some.map((each) => each.ours)));
    if (!reference || theirs.length < some.length) return ours;
    return { ...ours, reference: { name: reference.name, value: 100 * errorRate(theirs) } };
  };
  const sets = [...new Set(results.map(({ set }) => set))];
  const all = `all ${results.length} recordings`;
  const sum = (of: (result: Result) => number) => results.reduce((total, each) => total + of(each), 0);
  const waits = results.flatMap(({ heard: { waits: some } }) => some);
  return [
    ...sets.map((set) =>
      rate(
        set,
        results.filter((each) => each.set === set),
      ),
    ),
    rate(all, results),
    figure(
      all,
      'words that changed after they were certain',
      '',
      sum(({ heard: { changed } }) => changed),
    ),
    ...(waits.length > 0
      ? [figure(all, 'word certain after its end, p50, computing free', 'ms', median(waits.map(toMs)))]
      : []),
    figure(all, 'real-time factor', '', sum(({ heard: { cpu } }) => cpu) / sum(({ seconds }) => seconds)),
  ];
}

/** Recognisers on transcribed English, behind the detector and the gate of the live chain. */
export const recognizer: Measurement = {
  name: 'recognizer',
  async measure(bench) {
    const clips = transcribed(bench.media);
    const total = candidates.length * clips.length;
    const figures: Figure[] = [];
    for (const [n, candidate] of candidates.entries()) {
      const lacks = registry().lacks('recognizer', candidate.id);
      const lacking = clips.length === 0 ? `there are no transcribed recordings in ${bench.media}` : lacks.join(', ');
      if (lacking) bench.progress((n + 1) * clips.length, total, `${candidate.name} left out: ${lacking}`);
      else figures.push(...(await measureOne(candidate, clips, bench, n * clips.length, total)));
    }
    return figures;
  },
};
