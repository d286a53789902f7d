import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { Subject } from 'rxjs';
import { type AudioChunk, endOf } from '../media/audio.ts';
import { MonotonicClock } from '../media/clock.ts';
import { openFile } from '../media/file.ts';
import type { Programme } from '../media/programme.ts';
import { checkOutput, holdsPictures, mux } from '../media/mux.ts';
import { rubberband } from '../media/rubberband.ts';
import { Resampler } from '../media/resample.ts';
import type { Scope } from '../media/scope.ts';
import { slowed } from '../media/slowed.ts';
import type { Stretcher } from '../media/stretch.ts';
import { SLOWEST, type TimeMap } from '../media/time-map.ts';
import {
  type ClockTime,
  type Interval,
  type MediaTime,
  type SampleRate,
  type Span,
  at,
  between,
  later,
  latest,
  ms,
  samples,
  seconds,
} from '../media/time.ts';
import { Timeline } from '../media/timeline.ts';
import { createWav } from '../media/wav.ts';
import { nameOf } from '../models/languages.ts';
import { registry } from '../models/index.ts';
import { syllables, usualRate } from '../models/translate/syllables.ts';
import { LineCaptions } from '../pipeline/captions.ts';
import type { Clip, Cue, Hypothesis, Language, Utterance, UtteranceId } from '../pipeline/domain.ts';
import { dub } from '../pipeline/dub.ts';
import type { SharedStages } from '../pipeline/ear.ts';
import type { About } from '../pipeline/fitter.ts';
import type { LineRecord } from '../pipeline/ledger.ts';
import type { TakeReport } from '../pipeline/lip-path.ts';
import { srt } from '../pipeline/srt.ts';
import { MEASURING, type Refitted, fittedIn, lineKey, roomFor } from '../pipeline/room.ts';
import type { LanguageStages } from '../pipeline/voice.ts';
import { webvtt } from '../pipeline/webvtt.ts';
import { abilitiesOf, remedy } from './abilities.ts';
import { type DubOptions, type DubProgress, UsageError } from './commands.ts';
import { type SessionSpec, mixFor } from './config.ts';
import { enginesOf } from './engine-options.ts';
import { mixOf, specOf } from './mix-options.ts';
import { type Rehearsal, rehearsal } from './rehearsal.ts';
import { spread } from './report.ts';
import { driveFile } from './lip-file.ts';
import { lipStages, lipsLack, pictureStage, pictureStageLacks } from './lip-engines.ts';
import type { Closed, Closing } from './closing-pictures.ts';
import type { WrittenPictures } from './picture-writer.ts';
import { stretchFile } from './stretch-file.ts';
import { Desk } from './session/desk.ts';
import { Engines } from './session/engines.ts';
import { takeOf } from './session/mouths.ts';
import { LOOK } from './transcript.ts';

/** How far the original is read ahead of what is written. A line's dub is ready long before it is that far behind. */
const BEHIND = seconds(60);
/** Chunks that may wait for the stages; then reading waits. */
const WAITING = 64;
const RATE = 48_000;

/**
 * Dubs a recording into a file, as fast as the machine allows: the picture as it is, one track of sound and one of
 * captions per language, and the original's.
 *
 * The programme is its own clock here: what is written is what a viewer of the live programme would hear, except that
 * nothing is ever too late.
 *
 * @returns what was made, in sentences
 */
export async function dubFile(
  options: DubOptions,
  parent: Scope,
  onProgress: (progress: DubProgress) => void,
  onTakes?: (takes: readonly TakeReport[]) => void,
): Promise<string> {
  const [file, out] = [resolve(options.file), resolve(options.out)];
  checkOutput(out);
  const engines = registry();
  await using scope = parent.child('dub');
  const spec = specOf({
    source: { kind: 'file', path: file },
    from: options.from,
    to: options.to,
    ...mixOf(options),
    ...enginesOf(options),
  });
  for (const to of options.to) {
    const refusal = abilitiesOf(engines).supports(spec, to);
    if (refusal) throw new UsageError(`--to ${to}: ${refusal.message} ${refusal.fix ?? ''}`.trim());
  }
  const refusal = abilitiesOf(engines).accepts(spec);
  if (refusal) throw new UsageError(`--engine: ${refusal.message}`);
  const lips = options.lips === true ? options.to[0] : options.lips;
  if (lips !== undefined) {
    if (!options.to.includes(lips))
      throw new UsageError(`--lips ${lips}: it is not among --to ${options.to.join(',')}.`);
    const lacking = lipsLack(spec, engines);
    if (lacking.length > 0) throw new UsageError(`--lips: mouths cannot be driven here. ${remedy(lacking)}`);
  }
  /** How slow the programme may run, and whether pictures may be made for it. */
  const slowest = options.video === 'stretch' ? (options.stretchMost ?? SLOWEST) : 1;
  const making = slowest > SLOWEST && holdsPictures(out);
  if (making) {
    const lacking = pictureStageLacks('interpolator', spec, engines);
    if (lacking.length > 0) {
      const why = `--stretch-most ${slowest}: pictures cannot be made between others here.`;
      throw new UsageError(`${why} ${remedy(lacking)}`);
    }
  }
  const programme = await openFile(file, { field: 'file', pictures: false }, scope);
  const { duration, audio } = programme.info;
  if (!audio) throw new UsageError(`${basename(file)} has no sound: there is nothing to dub.`);

  const complaints = new Map<string, string>();
  const choice = new Engines(
    { registry: engines, spec, onFault: (fault) => complaints.set(fault.stage, fault.message) },
    scope,
  );
  const [shared, stretcher] = await Promise.all([choice.shared(), rubberband()]);
  const languages = spec.to as Language[];
  const stages = new Map<Language, LanguageStages>();
  for (const language of languages) stages.set(language, await choice.language(language, scope));
  const folder = await mkdtemp(join(tmpdir(), 'livedub-dub-'));
  scope.defer(() => rm(folder, { recursive: true, force: true }));

  const desk = new Desk(spec.mix);
  const timeline = new Timeline({
    delay: BEHIND,
    rate: RATE,
    anchor: { media: at(0), clock: 0 as ClockTime },
    mix: mixFor(spec.mix),
    finish: (track) => desk.finish(track),
  });
  for (const language of languages) timeline.dub(language);
  const tracks = await Promise.all(
    ['original', ...spec.to].map(async (name) => {
      const wav = join(folder, `${name}.wav`);
      return { name, wav, file: await createWav(wav, RATE, scope, 's16', 2) };
    }),
  );
  /** Writes what lies more than `BEHIND` before `t`. The programme's time is its own clock. */
  const write = async (t: MediaTime) => {
    const played = timeline.take(t as number as ClockTime);
    for (const track of tracks) {
      const { left, right } = played.dubs.get(track.name) ?? { left: played.pcm, right: played.pcm };
      await track.file.write(left, right);
    }
  };

  /** What is to be seen as well as heard. */
  const driven: Clip[] = [];
  const said = new Map<UtteranceId, Utterance>();
  /** What share of the work is everything but the mouths. */
  const most = lips === undefined && !making ? 1 : SOUND_SHARE;

  const began = performance.now();
  const speed = (t: MediaTime) => t / 1e3 / Math.max(1, performance.now() - began);
  /** Tells that `share` of the work on sound is done. */
  const done = (share: number, end: MediaTime) => onProgress({ fraction: share * most, speed: speed(end) });
  const hearing: Hearing = {
    programme,
    shared,
    stages,
    from: spec.from as Language,
    stretcher,
    voices: spec.voices,
    place: (clip) => {
      const accepted = timeline.dub(clip.language).place(clip);
      if (accepted && clip.language === lips) driven.push(clip);
      return accepted;
    },
    onSaid: (utterance) => said.set(utterance.id, utterance),
    onFault: (name, message) => complaints.set(name, message),
  };
  const push = (chunk: AudioChunk) => {
    timeline.pushOriginal(chunk);
    desk.hear(chunk);
  };
  const job: Job = { file, folder, hearing, push, write, duration, done };
  const { cues, lines, end, slowing } =
    options.video === 'stretch' ? await slower(job, slowest, scope) : await plain(job, scope);
  const length = slowing?.closing.until ?? end;
  await write(later(length, BEHIND));
  for (const track of tracks) await track.file.close();

  const title = (language: string) => nameOf(language as Language);
  const subtitles = await Promise.all(
    [...spec.to, spec.from].map(async (language) => {
      const path = join(folder, `${language}.vtt`);
      const own = cues.filter((cue) => cue.language === language);
      // Without a style sheet: FFmpeg reads no cue behind one.
      await writeFile(path, webvtt(own));
      return { path, language, title: title(language), own };
    }),
  );
  const [original, ...dubs] = tracks.map(({ name, wav }) => ({
    from: { wav },
    language: name === 'original' ? spec.from : name,
    title: name === 'original' ? 'Original' : title(name),
  }));
  const onFault = (stage: string, message: string) => void complaints.set(stage, message);
  const pictures = {
    file,
    out: join(folder, 'pictures.mkv'),
    spec,
    slowing,
    onFault,
    onProgress: (t: MediaTime) =>
      onProgress({
        fraction: most + (PICTURED - most) * Math.min(1, t / length),
        speed: speed(t),
      }),
  };
  const anew =
    lips === undefined
      ? making && slowing
        ? await stretched({ ...pictures, slowing }, scope)
        : undefined
      : await withMouths({ ...pictures, clips: driven, said, stretcher }, scope);
  if (anew?.takes) onTakes?.(anew.takes);
  const muxed = await mux(
    {
      original: anew ? pictures.out : file,
      out,
      audio: original ? [...dubs, original] : dubs,
      subtitles,
      ...(slowing && {
        ...(!anew && { times: slowing.map }),
        onProgress: (written) => {
          const share = Math.min(1, written / length);
          if (most < 1) onProgress({ fraction: PICTURED + (0.99 - PICTURED) * share, speed: speed(end) });
          else done(Math.min(0.99, RENDERED + (1 - RENDERED) * share), end);
        },
      }),
    },
    scope,
  );
  const { captions } = options;
  for (const { language, own } of captions ? subtitles : []) {
    const path = join(dirname(out), `${basename(out, extname(out))}.${language}.${captions}`);
    await writeFile(path, captions === 'srt' ? srt(own, LOOK) : webvtt(own, LOOK));
  }
  const elapsed = (performance.now() - began) / 1_000;
  onProgress({ fraction: 1, speed: end / 1e6 / elapsed });
  return summary(lines, {
    out,
    elapsed,
    seconds: end / 1e6,
    notes: [
      ...(anew?.takes ? mouthNotes(anew.takes, lips ?? '') : []),
      ...(lips !== undefined && !anew ? ['It has no pictures: no mouths were driven.'] : []),
      ...(slowing ? slowingNotes(slowing, { copied: muxed.pictures && muxed.why === null && !anew }) : []),
      ...(anew ? writtenNotes(anew) : []),
      ...(slowing ? closingNotes(slowing.closing, anew ? anew.closed : undefined) : []),
      ...(muxed.why ? [`Pictures were encoded anew: ${muxed.why}.`] : []),
      ...muxed.leftOut,
      ...complaints.values(),
    ],
  });
}

/** How much of the work is done when the sound is, and when pictures are that are encoded anew. */
const SOUND_SHARE = 0.5;
const PICTURED = 0.95;

interface Pictures {
  readonly file: string;
  /** The file to write, with pictures alone. */
  readonly out: string;
  readonly spec: SessionSpec;
  readonly slowing: Slowed | undefined;
  readonly onFault: (stage: string, message: string) => void;
  /** How much of the output is through. */
  readonly onProgress: (t: MediaTime) => void;
}
interface Mouths extends Pictures {
  readonly clips: readonly Clip[];
  readonly said: ReadonlyMap<UtteranceId, Utterance>;
  readonly stretcher: Stretcher;
}
/** Pictures that were encoded anew. */
interface Anew {
  readonly written: WrittenPictures;
  readonly closed: Closed | undefined;
  /** What became of the lines whose mouths were to be driven. */
  readonly takes?: readonly TakeReport[];
  /** What made pictures between others, by name. */
  readonly interpolator: string | undefined;
}

/** What makes pictures between others, where the programme runs so slow that it takes them. */
const interpolatorFor = async ({ spec, slowing }: Pictures, scope: Scope) =>
  slowing && slowing.map.slowest > SLOWEST ? await pictureStage('interpolator', spec, registry(), scope) : undefined;

/** The slower programme's pictures, where some have to be made; nothing where they can be copied, or there are none. */
async function stretched(pictures: Pictures & { readonly slowing: Slowed }, scope: Scope): Promise<Anew | undefined> {
  const { spec, slowing, ...files } = pictures;
  const { map, closing } = slowing;
  const runsOn = closing.until > closing.end;
  const sees = runsOn && pictureStageLacks('faceTracker', spec, registry()).length === 0;
  if (map.slowest <= SLOWEST && !sees) return undefined;
  const interpolator = await interpolatorFor(pictures, scope);
  const unseeing = (failure: unknown) => {
    files.onFault('faceTracker', failure instanceof Error ? failure.message : String(failure));
    return undefined;
  };
  const tracker = sees ? await pictureStage('faceTracker', spec, registry(), scope).catch(unseeing) : undefined;
  const report = await stretchFile({ ...files, map, closing, interpolator, tracker }, scope);
  return report && { ...report, interpolator: interpolator?.engine };
}

/** The programme's pictures with mouths that speak the clips; nothing when it has none. */
async function withMouths(mouths: Mouths, scope: Scope): Promise<Anew | undefined> {
  const { file, out, spec, clips, said, slowing, stretcher, onFault, onProgress } = mouths;
  const stages = await lipStages(spec, registry(), scope, (kind, failure) =>
    onFault(kind, failure instanceof Error ? failure.message : String(failure)),
  );
  const interpolator = await interpolatorFor(mouths, scope);
  const map = slowing?.map;
  const shown = (interval: Interval): Interval => map?.interval(interval) ?? interval;
  const sayings = [...said.values()].map(({ id, speaker, start, end }) => ({ id, speaker, ...shown({ start, end }) }));
  const takes = clips.flatMap((clip) => {
    const utterance = said.get(clip.utterance);
    return utterance ? [takeOf(clip, { ...utterance, ...shown(utterance) })] : [];
  });
  const again = await openFile(file, { field: 'file', pictures: false }, scope);
  const whole = soundOf(again);
  const sound = atRate(map ? slowed(whole, map, stretcher, scope.signal) : whole);
  const what = { file, out, takes, sayings, stages, sound, map, interpolator, closing: slowing?.closing };
  const report = await driveFile({ ...what, onFault, onProgress }, scope);
  return report && { ...report, interpolator: interpolator?.engine };
}
/** 16 kHz mono. */
async function* atRate(chunks: AsyncIterable<AudioChunk>): AsyncGenerator<AudioChunk, void, void> {
  let made = 0;
  const resampler = new Resampler(RATE, 16_000);
  for await (const { pcm } of chunks) {
    const part = resampler.push(pcm);
    if (part.length > 0) yield { start: samples(made, 16_000) as number as MediaTime, rate: 16_000, pcm: part };
    made += part.length;
  }
}

/** What became of the mouths, in sentences. */
function mouthNotes(takes: readonly TakeReport[], language: string): string[] {
  const sum = (of: (take: TakeReport) => number) => takes.reduce((total, take) => total + of(take), 0);
  const [wanted, driven] = [sum((take) => take.pictures), sum((take) => take.driven)];
  const left = new Map<string, number>();
  for (const { left: stretches } of takes) {
    for (const { start, end, why } of stretches) left.set(why, (left.get(why) ?? 0) + (end - start));
  }
  const why = [...left].sort(([, a], [, b]) => b - a).map(([reason, span]) => `${reason} ${inSeconds(span)}`);
  const share = wanted > 0 ? ` (${((100 * driven) / wanted).toFixed(0)} %)` : '';
  return [
    `Mouths speak ${language} in ${driven} of ${wanted} pictures of ${takes.length} lines${share}.`,
    ...(why.length > 0 ? [`Left as they were: ${why.join(', ')}.`] : []),
  ];
}

/** What became of pictures that were encoded anew, in sentences. */
function writtenNotes({ written, interpolator }: Anew): string[] {
  const { pictures, made, missed, making } = written;
  const each = made > 0 ? ` (${Math.round(making / 1e3 / made)} ms each)` : '';
  return [
    ...(made > 0 ? [`${made} pictures were made between others by ${interpolator ?? 'nothing'}${each}.`] : []),
    ...(missed > 0 ? [`${missed} could not be made: the ones before them are seen longer.`] : []),
    `${pictures} pictures were encoded anew.`,
  ];
}
/** What is seen while the last dub runs on, in sentences. */
function closingNotes({ end, until }: Closing, closed: Closed | undefined): string[] {
  if (until <= end) return [];
  const more = `The last line runs on for ${inSeconds(between(end, until))} behind the programme's end`;
  return [
    closed?.by === 'idle'
      ? `${more}: ${closed.pictures} idle pictures of the speaker are seen meanwhile.`
      : `${more}; the last picture stays.`,
  ];
}

interface Hearing {
  readonly programme: Programme;
  readonly shared: SharedStages;
  readonly stages: ReadonlyMap<Language, LanguageStages>;
  readonly from: Language;
  readonly voices: SessionSpec['voices'];
  readonly stretcher: Stretcher;
  readonly resample?: (pcm: Float32Array, from: SampleRate) => Float32Array;
  readonly place: (clip: Clip) => boolean;
  readonly onSaid: (utterance: Utterance) => void;
  readonly onFault: (name: string, message: string) => void;
}
/** What is known once the programme has been heard to its end. */
interface Heard {
  readonly cues: readonly Cue[];
  readonly lines: readonly LineRecord[];
  /** Where the programme ends. */
  readonly end: MediaTime;
}
interface Job {
  readonly file: string;
  /** For what lies about meanwhile. */
  readonly folder: string;
  readonly hearing: Hearing;
  /** Takes the programme's sound. */
  readonly push: (chunk: AudioChunk) => void;
  readonly write: (t: MediaTime) => Promise<void>;
  readonly duration: Span | null;
  readonly done: (share: number, end: MediaTime) => void;
}

/** Dubs the programme and writes it as it goes. */
async function plain({ hearing, push, write, duration, done }: Job, scope: Scope): Promise<Heard & Slower> {
  return await hear(hearing, scope, {
    before: push,
    after: async (end) => {
      await write(end);
      done(duration ? Math.min(0.99, end / duration) : 0, end);
    },
  });
}

interface Slower {
  /** Where the programme runs slower, and what that was good for. */
  readonly slowing?: Slowed;
}
interface Slowed {
  readonly map: TimeMap;
  /** Where the output would end, and where it does: the last dub is heard to its end. */
  readonly closing: Closing;
  /** Lines that are whole, and lines that lose fewer words than they would have. */
  readonly whole: number;
  readonly longer: number;
  /** Words that are lost all the same. */
  readonly cut: number;
}
/** What share of the work is done when the programme has been heard, and when its sound is made. */
const HEARD = 0.7;
const RENDERED = 0.9;

/**
 * Dubs the programme, finds out where a line does not fit, and writes a programme that runs slower there.
 *
 * It is heard as it is, once; what was spoken is kept, and fitted again into the slower programme.
 */
async function slower(job: Job, most: number, scope: Scope): Promise<Heard & Slower> {
  const { file, folder, hearing, push, write, duration, done } = job;
  const { signal } = scope;
  const rehearsals: Rehearsal[] = [];
  const stages = new Map(hearing.stages);
  for (const [language, { synthesizer, ...others }] of stages) {
    if (!synthesizer) continue;
    const kept = await rehearsal(language, join(folder, `${language}.f32`), scope);
    rehearsals.push(kept);
    stages.set(language, { ...others, synthesizer: kept.overhear(synthesizer) });
  }
  const segments = new Map<number, Hypothesis>();
  const abouts = new Map<UtteranceId, About>();
  const heard = await hear({ ...hearing, ...MEASURING, stages, place: () => true }, scope, {
    after: async (end) => done(duration ? HEARD * Math.min(1, end / duration) : 0, end),
    words: (words) => segments.set(words.segment, words),
    utterance: (utterance, about) => abouts.set(utterance, about),
  });

  const records = new Map(heard.lines.map((record) => [lineKey(record), record]));
  const voices = rehearsals.map((kept) => {
    const own = heard.lines.filter((record) => record.language === kept.language);
    const said = new Map(own.map((record) => [record.utterance as UtteranceId, record.text]));
    return { language: kept.language, lines: () => kept.lines(said) };
  });
  const known = {
    heard: [...segments.values()],
    about: (utterance: UtteranceId) => abouts.get(utterance),
    clock: new MonotonicClock(),
    signal,
  };
  const map = await roomFor({ ...known, voices, most });
  /** Captions of lines that are fitted anew come anew. */
  const cues = new Map<string, Cue[]>();
  let [whole, longer, cut] = [0, 0, 0];
  let until = at(0);
  const settle = ({ line, spoken, clip }: Refitted) => {
    const placed = clip !== undefined && hearing.place(clip) ? clip : undefined;
    if (placed) until = latest(until, placed.end);
    cues.set(lineKey(line), new LineCaptions().settled(line, placed));
    const before = records.get(lineKey(line));
    if (!before) return;
    const record = refitted(before, placed);
    records.set(lineKey(line), record);
    const lost = ({ dub, trimmedWords }: LineRecord) => (dub ? trimmedWords : spoken.natural.count);
    cut += lost(record);
    if (lost(record) === 0 && lost(before) > 0) whole += 1;
    else if (lost(record) < lost(before)) longer += 1;
  };
  const readers = voices.map(({ lines }) =>
    reader(fittedIn(map, lines(), { ...known, stretcher: hearing.stretcher }), settle),
  );

  const again = await openFile(file, { field: 'file', pictures: false }, scope);
  let end = at(0);
  for await (const chunk of slowed(soundOf(again), map, hearing.stretcher, signal)) {
    signal.throwIfAborted();
    end = endOf(chunk);
    for (const upTo of readers) await upTo(end);
    push(chunk);
    await write(end);
    const share = Math.min(1, map.back(end) / Math.max(1, heard.end));
    done(HEARD + (RENDERED - HEARD) * share, heard.end);
  }
  for (const upTo of readers) await upTo(FOREVER);
  const ends = map.at(heard.end);
  const closing = { end: ends, until: between(ends, until) > LEAST_CLOSING ? until : ends };
  const others = heard.cues.filter(({ id, language }) => !cues.has(lineKey({ language, utterance: lineOf(id) })));
  return {
    cues: [
      ...others.map((cue) => ({ ...map.interval(cue), voiceEnd: map.at(cue.voiceEnd) })),
      ...[...cues.values()].flat(),
    ],
    lines: [...records.values()],
    end: heard.end,
    slowing: { map, closing, whole, longer, cut },
  };
}
/** What a dub runs on for less than this is the fade-out of its last sound. */
const LEAST_CLOSING = ms(40);
const FOREVER = Number.POSITIVE_INFINITY as MediaTime;
/** The line that a caption belongs to: one that has several numbers them `u0.1`, `u0.1/2`. */
const lineOf = (id: string) => id.replace(/\/\d+$/, '');

/** Reads lines until one starts behind a position. */
function reader(lines: AsyncGenerator<Refitted, void, void>, settle: (line: Refitted) => void) {
  let start = Number.NEGATIVE_INFINITY as MediaTime;
  return async (t: MediaTime): Promise<void> => {
    while (start < t) {
      const next = await lines.next();
      start = next.done ? FOREVER : next.value.line.start;
      if (!next.done) settle(next.value);
    }
  };
}

async function* soundOf(programme: Programme): AsyncGenerator<AudioChunk, void, void> {
  for await (const item of programme) if (item.kind === 'audio') yield item;
}

/** The line's account with what became of it in the slower programme; its places are the output's. */
function refitted(record: LineRecord, clip: Clip | undefined): LineRecord {
  const nothing = { dub: null, outcome: 'refused' as const, speed: null, rung: null, trimmedWords: 0, fit: null };
  if (!clip) return { ...record, ...nothing };
  // It was spoken at the rate that it was first asked for.
  const fit = { ...clip.fit, rate: record.fit?.rate ?? clip.fit.rate };
  return {
    ...record,
    dub: { start: clip.start, end: clip.end },
    outcome: fit.trimmedWords > 0 ? 'trimmed' : 'dubbed',
    speed: fit.speed,
    rung: fit.rung,
    trimmedWords: fit.trimmedWords,
    fit,
  };
}

interface Listener {
  readonly before?: (chunk: AudioChunk) => void;
  /** Everything before `end` is under way. */
  readonly after: (end: MediaTime) => Promise<void>;
  readonly words?: (words: Hypothesis) => void;
  readonly utterance?: (utterance: UtteranceId, about: About) => void;
}

/** Plays the programme to the pipeline, as fast as it takes it. */
async function hear(hearing: Hearing, scope: Scope, listener: Listener): Promise<Heard> {
  const { programme, shared, stages, from, voices, stretcher, resample, place, onSaid, onFault } = hearing;
  const { signal } = scope;
  const audio$ = new Subject<AudioChunk>();
  const dubbing = dub(audio$, shared, {
    from,
    clock: new MonotonicClock(),
    pace: 'recorded',
    stretcher,
    syllables: { count: syllables, usual: usualRate },
    expression: voices.expression,
    cloning: voices.cloning === 'consented',
    place,
    ...(resample && { resample }),
  });
  scope.defer(() => dubbing.close());

  const cues: Cue[] = [];
  const lines: LineRecord[] = [];
  dubbing.cues$.subscribe((cue) => cues.push(cue));
  dubbing.lines$.subscribe((line) => lines.push(line));
  dubbing.faults$.subscribe(({ name, fault }) => onFault(name, fault.message));
  if (listener.words) dubbing.words$.subscribe(listener.words);
  dubbing.utterances$.subscribe((utterance) => {
    onSaid(utterance);
    const { id } = utterance;
    const about = dubbing.about(id);
    if (about) listener.utterance?.(id, about);
  });
  for (const [language, speaking] of stages) {
    const { cues$ } = dubbing.addLanguage(language, speaking);
    cues$.subscribe((cue) => cues.push(cue));
  }

  let end = at(0);
  dubbing.start();
  for await (const item of programme) {
    signal.throwIfAborted();
    if (item.kind !== 'audio') continue;
    await dubbing.load.below(WAITING, signal);
    listener.before?.(item);
    audio$.next(item);
    end = endOf(item);
    await listener.after(end);
  }
  signal.throwIfAborted();
  audio$.complete();
  await Promise.race([dubbing.done, new Promise((stop) => signal.addEventListener('abort', stop, { once: true }))]);
  signal.throwIfAborted();
  return { cues, lines, end };
}

/** Where the programme runs slower, in sentences. */
function slowingNotes({ map, whole, longer, cut }: Slowed, { copied }: { readonly copied: boolean }): string[] {
  const count = map.slowed.length;
  if (count === 0) {
    const untouched = copied ? ', and its pictures are untouched' : '';
    return [`Every line has the room it can be given: the programme runs as it did${untouched}.`];
  }
  const length = ({ start, end }: Interval) => end - start;
  const slow = map.slowed.reduce((sum, { from }) => sum + length(from), 0);
  return [
    `The programme runs slower in ${count} ${count === 1 ? 'stretch' : 'stretches'} (${inSeconds(slow)} of it, up to ${((map.slowest - 1) * 100).toFixed(0)} % slower) and is ${inSeconds(map.added)} longer: ${whole} lines are whole that would have been cut, ${longer} lose fewer words, and ${cut === 0 ? 'no word is' : `${cut} words are`} cut all the same.`,
    ...(copied ? ['Pictures are the very same ones, some of them shown longer.'] : []),
  ];
}
const inSeconds = (micros: number) => `${(micros / 1e6).toFixed(1)} s`;

function summary(
  lines: readonly LineRecord[],
  facts: {
    readonly out: string;
    readonly elapsed: number;
    readonly seconds: number;
    readonly notes: readonly string[];
  },
): string {
  const of = (...outcomes: LineRecord['outcome'][]) => lines.filter((line) => outcomes.includes(line.outcome)).length;
  const speed = spread(lines.flatMap((line) => line.speed ?? []));
  return [
    `Wrote ${facts.out}: ${facts.seconds.toFixed(1)} s in ${facts.elapsed.toFixed(1)} s (${(facts.seconds / facts.elapsed).toFixed(1)} times as fast as it plays).`,
    `${lines.length} lines: ${of('dubbed', 'trimmed')} dubbed (${of('trimmed')} of them shortened), ${of('late', 'expired', 'refused')} left to the captions.`,
    ...(speed
      ? [`Speed p50 ${speed.p50.toFixed(2)}×, from ${speed.min.toFixed(2)}× to ${speed.max.toFixed(2)}×.`]
      : []),
    ...facts.notes,
  ].join('\n');
}
