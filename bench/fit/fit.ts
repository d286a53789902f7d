import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SessionSpec } from '../../gateway/config.ts';
import { Engines } from '../../gateway/session/engines.ts';
import type { AudioChunk } from '../../media/audio.ts';
import type { Scope } from '../../media/scope.ts';
import { type Span, at, later, samples, seconds } from '../../media/time.ts';
import { installedModes } from '../../models/translate/apertium.ts';
import { registry } from '../../models/index.ts';
import { PAIRS, routeBetween } from '../../models/languages.ts';
import type { Clip, Language, Word } from '../../pipeline/domain.ts';
import type { SharedStages } from '../../pipeline/ear.ts';
import type { Fault } from '../../pipeline/fault.ts';
import type { LineRecord } from '../../pipeline/ledger.ts';
import type { LanguageStages } from '../../pipeline/voice.ts';
import { machine } from '../machine.ts';
import { type Tell, teller } from '../progress.ts';
import { decode } from '../quality/stage-run.ts';
import { type Verdict, judge, verdictText } from '../verdicts.ts';
import { type Ordeal, adversary } from './adversary.ts';
import { type RealClip, realClips } from './clips.ts';
import { type FitFigures, figuresOf, percentile, sizes, together } from './measures.ts';
import { fitPage } from './page.ts';
import { type DubbedProgramme, type Natural, chunks, dubProgramme, tapped } from './programme.ts';
import { type Contested, type RivalFigures, lacksForRivals, rivals, whereOursIsWorse } from './rivals.ts';
import { type Saying, type Script, scriptOf } from './script.ts';
import { scriptedDiarizer, scriptedRecognizer, scriptedTranslator, scriptedVad, soundOf } from './scripted.ts';
import { fitText } from './text.ts';

export const SECTIONS = ['clips', 'live', 'adversary', 'rivals'] as const;
export type Section = (typeof SECTIONS)[number];

export interface FitOptions {
  /** Sections, or sets of a section as in `adversary/bursts`; all when empty. */
  readonly only: readonly string[];
  /** As in `en:es`; what cannot be translated here is left out and named. */
  readonly pairs: readonly string[];
  readonly models: string;
  readonly media: string;
  readonly out: string;
  readonly seed: number;
}

/** Lines of one set of recordings, or of one ordeal, dubbed from one language into another. */
export interface FitSet {
  readonly section: Exclude<Section, 'rivals'>;
  readonly name: string;
  readonly pair: string;
  /** Seconds of programme, of time and of processor. */
  readonly seconds: number;
  readonly elapsed: number;
  readonly cpu: number;
  readonly faults: readonly string[];
  readonly figures: FitFigures;
}

export interface FitResult {
  readonly machine: string;
  readonly when: string;
  readonly seed: number;
  readonly sets: readonly FitSet[];
  readonly rivals: readonly RivalFigures[];
  /** Figures in which a rival beat ours. */
  readonly worse: readonly string[];
  readonly leftOut: readonly string[];
  readonly verdicts: readonly Verdict[];
}

/** What a live programme is shown late by. */
const DELAY = seconds(5);
/** Which clip is played in real time: of those that are there, the first. */
const LIVE = ['englishvideo', 'jfk', 'eng'];

/** Lines compared side by side: some eight seconds of processor time each. */
const COMPARED = 32;

/** Asked for in a way that cannot be done. */
export class UnknownSet extends Error {}

/** Measures how dubs fit, on real speech and on timing made to be hard. Writes `fit.json` and `fit.html`. */
export async function fit(options: FitOptions, scope: Scope, tell: Tell = teller()): Promise<FitResult> {
  const wants = chooser(options.only);
  const leftOut: string[] = [];
  const pairs = pairsOf(options.pairs, leftOut);
  const sets: FitSet[] = [];
  const contested: Contested[] = [];

  const { clips, absent } = realClips(options.media);
  if (wants('clips') || wants('live') || wants('rivals')) leftOut.push(...absent.map((file) => `there is no ${file}`));

  const work = plan();
  for (const [n, job] of work.entries()) {
    if (scope.signal.aborted) break;
    const within: Tell = (fraction) => tell((n + fraction) / work.length, job.name);
    within(0, '');
    await job.run(within);
  }
  tell(1, '');

  let compared: RivalFigures[] = [];
  if (wants('rivals') && contested.length > 0) {
    const lack = lacksForRivals(options.models);
    if (lack) leftOut.push(`side by side: ${lack}`);
    else {
      const some = evenly(contested, COMPARED);
      if (some.length < contested.length)
        leftOut.push(`side by side: ${contested.length - some.length} of ${contested.length} lines`);
      compared = await rivals(some, options.models, scope.child('rivals'), tell);
    }
    tell(1, '');
  }
  const result: FitResult = {
    machine: machine(),
    when: new Date().toISOString(),
    seed: options.seed,
    sets,
    rivals: compared,
    worse: whereOursIsWorse(compared),
    leftOut: [...new Set(leftOut)],
    verdicts: verdictsOf(sets),
  };
  await mkdir(options.out, { recursive: true });
  await writeFile(join(options.out, 'fit.json'), `${JSON.stringify(result, null, 2)}\n`);
  await writeFile(join(options.out, 'fit.html'), fitPage(result));
  console.log(`${fitText(result, process.stdout.columns)}\n\n${verdictText(result.verdicts)}`);
  return result;

  function plan(): { readonly name: string; readonly run: (tell: Tell) => Promise<void> }[] {
    const jobs: { name: string; run: (tell: Tell) => Promise<void> }[] = [];
    const chosen = clips.filter(({ name }) => wants('clips', name));
    for (const pair of pairs) {
      const heardIn = pair.from.split('-')[0];
      for (const clip of chosen) {
        const name = `${clip.name} ${arrow(pair)}`;
        if (clip.language === heardIn) jobs.push({ name, run: (within) => realChain('clips', clip, pair, within) });
        else jobs.push({ name, run: (within) => secondHand(clip, pair, within) });
      }
      const live = LIVE.flatMap((wish) => clips.filter(({ name }) => name === wish)).find(
        ({ language }) => language === heardIn,
      );
      if (live && wants('live', live.name)) {
        jobs.push({
          name: `${live.name} ${arrow(pair)}, live`,
          run: (within) => realChain('live', live, pair, within),
        });
      }
      if (!['en', 'es'].includes(pair.from) || !['en', 'es'].includes(pair.to)) {
        if (wants('adversary')) leftOut.push(`adversary ${arrow(pair)}: its words are English and Spanish`);
        continue;
      }
      for (const ordeal of adversary(options.seed, pair.from)) {
        if (!wants('adversary', ordeal.name)) continue;
        for (const obliging of ordeal.name === 'long translations' ? [false, true] : [false]) {
          const name = obliging ? `${ordeal.name}, told to be shorter` : ordeal.name;
          jobs.push({
            name: `${name} ${arrow(pair)}`,
            run: (within) => scriptedChain(ordeal, name, pair, obliging, within),
          });
        }
      }
    }
    // The same words in another voice: what can be read back without a translator's mistakes.
    if (wants('rivals')) {
      const same = { from: 'en' as Language, to: 'en' as Language };
      for (const clip of clips.filter(({ name }) => wants('rivals', name))) {
        jobs.push({
          name: `${clip.name} en → en, for side by side`,
          run: (within) => realChain(undefined, clip, same, within),
        });
      }
    }
    return jobs;
  }

  /** The whole chain as a session has it. */
  async function realChain(
    section: 'clips' | 'live' | undefined,
    clip: RealClip,
    pair: Pair,
    within: Tell,
  ): Promise<void> {
    await using own = scope.child(clip.name);
    const engines = enginesFor(pair, clip.file, own, leftOut);
    const [shared, stages] = [await engines.shared(), await engines.language(pair.to, own)];
    const pcm = decode(clip.file, 48_000);
    const natural: Natural[] = [];
    const dubbed = await dubProgramme(
      {
        ...pair,
        audio: chunks(pcm),
        length: samples(pcm.length, 48_000),
        shared,
        stages: listened(stages, natural),
        ...(section === 'live' && { live: DELAY }),
        onProgress: within,
      },
      own,
    );
    if (section) note(section, clip.name, pair, pcm.length / 48_000, dubbed);
    if (pair.to === 'en' && section !== 'live') contest(natural, dubbed);
  }

  /** A language nobody recorded: the dub of an English clip is the programme, and its lines are what is recognised. */
  async function secondHand(clip: RealClip, pair: Pair, within: Tell): Promise<void> {
    await using own = scope.child(clip.name);
    const first = { from: clip.language, to: pair.from };
    if (!translates(first))
      return void leftOut.push(`${clip.name} ${arrow(pair)}: no way from ${first.from} to ${first.to}`);
    const engines = enginesFor(first, clip.file, own, leftOut);
    const pcm = decode(clip.file, 48_000);
    const spoken = await dubProgramme(
      {
        ...first,
        audio: chunks(pcm),
        length: samples(pcm.length, 48_000),
        shared: await engines.shared(),
        stages: await engines.language(pair.from, own),
      },
      own,
    );
    const script = scriptOf(spoken.lines.flatMap(asSaid));
    const natural: Natural[] = [];
    const again = enginesFor(pair, clip.file, own, leftOut);
    const dubbed = await dubProgramme(
      {
        ...pair,
        audio: chunks(spoken.pcm),
        length: samples(spoken.pcm.length, 48_000),
        shared: scripted(script),
        stages: listened(await again.language(pair.to, own), natural),
        onProgress: within,
      },
      own,
    );
    note('clips', `${clip.name}, read in ${pair.from}`, pair, spoken.pcm.length / 48_000, dubbed);
    if (pair.to === 'en' && wants('rivals')) contest(natural, dubbed);
  }

  async function scriptedChain(
    ordeal: Ordeal,
    name: string,
    pair: Pair,
    obliging: boolean,
    within: Tell,
  ): Promise<void> {
    await using own = scope.child(ordeal.name);
    const script = scriptOf(ordeal.sayings);
    const speaking = await enginesFor(pair, 'script.wav', own, leftOut).language(pair.to, own);
    const dubbed = await dubProgramme(
      {
        ...pair,
        audio: soundChunks(script, ordeal.length),
        length: seconds(ordeal.length),
        shared: scripted(script),
        stages: { ...speaking, translator: scriptedTranslator({ script, ...pair, obliging }) },
        onProgress: within,
      },
      own,
    );
    note('adversary', name, pair, ordeal.length, dubbed);
  }

  function note(section: FitSet['section'], name: string, pair: Pair, length: number, dubbed: DubbedProgramme): void {
    const { elapsed, cpu, faults } = dubbed;
    sets.push({ section, name, pair: arrow(pair), seconds: length, elapsed, cpu, faults, figures: figuresOf(dubbed) });
  }
  function contest(
    natural: readonly Natural[],
    { lines, clips: made }: { lines: readonly LineRecord[]; clips: readonly Clip[] },
  ): void {
    for (const each of natural) {
      const record = lines.find(({ utterance }) => utterance === each.line.utterance);
      const clip = made.find(({ utterance }) => utterance === each.line.utterance);
      if (record && each.pcm.length > 0) contested.push({ natural: each, record, clip });
    }
  }
}

/** So many of them, from first to last. */
const evenly = <T>(items: readonly T[], most: number): T[] =>
  items.filter(
    (_, n) =>
      Math.floor(((n + 1) * most) / Math.max(most, items.length)) >
      Math.floor((n * most) / Math.max(most, items.length)),
  );

interface Pair {
  readonly from: Language;
  readonly to: Language;
}
const arrow = ({ from, to }: Pair) => `${from} → ${to}`;

function chooser(only: readonly string[]): (section: Section, set?: string) => boolean {
  for (const name of only) {
    const [section] = name.split('/');
    if (!SECTIONS.some((each) => each === section))
      throw new UnknownSet(
        `There is nothing called '${section}' in fit; there is ${SECTIONS.join(', ')}, and their sets, as in adversary/bursts`,
      );
  }
  return (section, set) =>
    only.length === 0 ||
    only.some((name) => {
      const [wanted, ...rest] = name.split('/');
      return wanted === section && (rest.length === 0 || set === undefined || set === rest.join('/'));
    });
}

const translates = ({ from, to }: Pair) => {
  const answer = routeBetween(from, to, new Set(installedModes().keys()));
  return answer !== undefined && 'route' in answer;
};
function pairsOf(wanted: readonly string[], leftOut: string[]): Pair[] {
  const installed = PAIRS.filter(translates);
  const asked = wanted.length > 0 ? wanted : installed.map(({ from, to }) => `${from}:${to}`);
  return asked.flatMap((text) => {
    const [, from, to] = /^([\w-]+):([\w-]+)$/.exec(text) ?? [];
    if (from === undefined || to === undefined)
      throw new UnknownSet(`--pairs must be as in en:es,es:en, received ${text}`);
    const pair = { from: from as Language, to: to as Language };
    if (translates(pair)) return [pair];
    leftOut.push(`${arrow(pair)}: no translator is installed`);
    return [];
  });
}

function enginesFor(pair: Pair, path: string, scope: Scope, leftOut: string[]): Engines {
  const spec = SessionSpec.parse({ source: { kind: 'file', path }, from: pair.from, to: [pair.to] });
  return new Engines(
    { registry: registry(), spec, onFault: ({ stage, message }: Fault) => leftOut.push(`${stage}: ${message}`) },
    scope,
  );
}
const scripted = (script: Script): SharedStages => ({
  vad: scriptedVad(script),
  diarizer: scriptedDiarizer(script),
  recognizer: scriptedRecognizer(script),
});
const listened = (stages: LanguageStages, into: Natural[]): LanguageStages =>
  stages.synthesizer ? { ...stages, synthesizer: tapped(stages.synthesizer, (natural) => into.push(natural)) } : stages;

function* soundChunks(script: Script, length: number): Generator<AudioChunk> {
  for (let n = 0; n < length * 50; n += 1) {
    yield soundOf(script, { start: later(at(0), (n * 20_000) as Span), count: 960, rate: 48_000 });
  }
}

/** A dubbed line as something that is said: its words in its place, each as long as its letters ask for. */
function asSaid({ dub, text, speaker }: LineRecord): Saying[] {
  if (!dub || text === '') return [];
  const texts = text
    .replaceAll(/[.,;:!?¿¡"«»]/g, ' ')
    .split(/\s+/)
    .filter(Boolean);
  const letters = texts.reduce((sum, each) => sum + each.length + 1, 0);
  let passed = 0;
  const words = texts.map((each): Word => {
    const start = at(dub.start + ((dub.end - dub.start) * passed) / letters);
    passed += each.length + 1;
    return { text: each, start, end: at(dub.start + ((dub.end - dub.start) * passed) / letters) };
  });
  return [{ start: at(dub.start), end: at(dub.end), speaker, words, ratio: 1 }];
}

/** What issue 4 wants of fitting, as far as this run can tell. */
export function verdictsOf(sets: readonly FitSet[]): Verdict[] {
  const of = (...sections: FitSet['section'][]) =>
    together(sets.filter(({ section }) => sections.includes(section)).map(({ figures }) => figures));
  const [real, all] = [of('clips', 'live'), of('clips', 'live', 'adversary')];
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  return [
    judge(
      'lines of the real clips dubbed within 0.9–1.2×',
      '≥ 95 % of all lines',
      real.naturalOfAll,
      (share) => `${percent(share)} of ${real.lines}`,
      (share) => share >= 0.95,
    ),
    judge(
      'dubbed lines beyond 0.9–1.2×, everywhere',
      'none',
      all.naturalOfDubbed === null ? null : Math.round((1 - all.naturalOfDubbed) * all.dubbed),
      (count) => `${count} of ${all.dubbed}`,
      (count) => count === 0,
    ),
    judge(
      'start error p95, real clips, lines that made it',
      '≤ 100 ms',
      percentile(sizes(real.starts), 0.95),
      (value) => `${value.toFixed(0)} ms of ${real.starts.length} lines`,
      (value) => value <= 100,
    ),
  ];
}
