import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { at, later, samples } from '../../media/time.ts';
import { ctcAligner } from '../../models/align/ctc-aligner.ts';
import { phoneAligner } from '../../models/align/phone-aligner.ts';
import type { Alignment, Language, Spoken, UtteranceId } from '../../pipeline/domain.ts';
import type { Stage } from '../../pipeline/stage.ts';
import type { Bench, Figure, Measurement } from './figure.ts';
import { decode } from './stage-run.ts';

/** Read speech whose words and phones PocketSphinx 5 has placed; the files come with its own tests. */
const SET = 'align/librivox';
const CLIPS = ['0870', '0880', '0890', '0920', '0930'];
const RATE = 16_000;
/** How long after a word is over a live recogniser is sure of it, seconds. */
const LAG = 1.2;

interface Segment {
  readonly b: number;
  readonly d: number;
  readonly t: string;
  readonly w: readonly Segment[];
}
interface Clip {
  readonly name: string;
  readonly pcm: Float32Array;
  readonly text: readonly string[];
  readonly words: readonly Segment[];
}
function read(media: string, name: string): Clip {
  const base = join(media, SET, `sense_and_sensibility_01_austen_64kb-${name}`);
  const truth = JSON.parse(readFileSync(`${base}.phone.json`, 'utf8')) as Segment;
  return {
    name,
    pcm: decode(`${base}.wav`, RATE),
    text: readFileSync(`${base}.txt`, 'utf8').trim().split(/\s+/),
    words: truth.w.filter(({ t }) => t !== '<sil>'),
  };
}

/** A clip as the live loop gives it: 100 ms at a time, each word when a recogniser would be sure of it. */
function* live({ name, pcm, text, words }: Clip): Generator<Spoken> {
  const size = RATE / 10;
  let next = 0;
  for (let offset = 0; offset < pcm.length; offset += size) {
    const last = offset + size >= pcm.length;
    const heard = (offset + size) / RATE;
    const from = next;
    while (next < text.length && (last || words[next]!.b + words[next]!.d + LAG <= heard)) next += 1;
    yield {
      start: later(at(0), samples(offset, RATE)),
      rate: RATE,
      pcm: pcm.slice(offset, offset + size),
      utterance: name as UtteranceId,
      language: 'en' as Language,
      text: text.slice(from, next).join(' '),
      last,
    };
  }
}

interface Errors {
  /** Milliseconds by which boundaries are off. */
  readonly words: number[];
  readonly phones: number[];
  /** Milliseconds from the end of a word to when its place is known. */
  readonly delays: number[];
}
function compare({ words }: Clip, alignments: readonly Alignment[], into: Errors): void {
  const final = alignments.at(-1);
  for (const [n, word] of words.entries()) {
    const ours = final?.words[n];
    if (!ours) continue;
    const off = (place: number, seconds: number) => Math.abs(place / 1_000 - seconds * 1_000);
    into.words.push(off(ours.start, word.b), off(ours.end, word.b + word.d));
    const told = alignments.find((each) => each.words.length > n);
    if (told) into.delays.push((told.end - ours.end) / 1_000);
    const phones = final.phones.filter((phone) => phone.word === n);
    if (phones.map(({ text }) => text).join(' ') !== word.w.map(({ t }) => t).join(' ')) continue;
    for (const [k, { b, d }] of word.w.entries()) {
      into.phones.push(off(phones[k]!.start, b), off(phones[k]!.end, b + d));
    }
  }
}
const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
/** Places are rounded to frames of 10 ms. */
const within = (values: readonly number[], limit: number) =>
  (100 * values.filter((value) => value < limit + 0.5).length) / values.length;

async function measureOne(engine: string, stage: Stage<'aligner'>, clips: readonly Clip[], { progress }: Bench) {
  const errors: Errors = { words: [], phones: [], delays: [] };
  const before = process.cpuUsage();
  for (const [n, clip] of clips.entries()) {
    progress(n, clips.length, `${engine}: ${clip.name}`);
    const scope = { signal: new AbortController().signal, clock: new MonotonicClock() };
    const alignments: Alignment[] = [];
    const pieces = async function* () {
      yield* live(clip);
    };
    for await (const alignment of stage.run(pieces(), scope)) alignments.push(alignment);
    compare(clip, alignments, errors);
  }
  const { user, system } = process.cpuUsage(before);
  const length = clips.reduce((sum, { pcm }) => sum + samples(pcm.length, RATE), 0);
  const figure = (metric: string, unit: string, value: number, better: Figure['better']): Figure => ({
    stage: 'aligner',
    engine,
    clip: `${SET}, ${clips.length} clips, live`,
    metric,
    unit,
    value,
    better,
  });
  const wanted = clips.reduce((sum, { words }) => sum + words.length, 0);
  return [
    figure('words placed', '%', (100 * errors.words.length) / 2 / wanted, 'higher'),
    figure('word boundary error, median', 'ms', median(errors.words), 'lower'),
    figure('word boundaries within 50 ms', '%', within(errors.words, 50), 'higher'),
    ...(errors.phones.length > 0
      ? [
          figure('phone boundary error, median', 'ms', median(errors.phones), 'lower'),
          figure('phone boundaries within 20 ms', '%', within(errors.phones, 20), 'higher'),
        ]
      : []),
    figure('delay from the end of a word, median', 'ms', median(errors.delays), 'lower'),
    figure('real-time factor', '', (user + system) / length, 'lower'),
  ];
}

/** Aligners against the alignments that come with PocketSphinx's own test clips, words given as a recogniser would. */
export const aligner: Measurement = {
  name: 'aligner',
  async measure(bench) {
    const { media, models, progress } = bench;
    if (!existsSync(join(media, SET))) {
      progress(1, 1, `left out: there is no ${join(media, SET)}`);
      return [];
    }
    const clips = CLIPS.map((name) => read(media, name));
    const figures: Figure[] = [];
    const scope = new Scope('bench aligner');
    try {
      const absent = phoneAligner.needs.filter((need) => !need.present()).map((need) => need.install);
      if (absent.length > 0) progress(0, 1, `phones: left out: needs ${absent.join(', ')}`);
      else {
        const stage = await phoneAligner.load(phoneAligner.config.parse({}), scope);
        figures.push(...(await measureOne('phones', stage, clips, bench)));
      }
      const network = join(models, 'align', 'wav2vec2-base-960h');
      if (!existsSync(network)) progress(1, 1, `ctc: left out: there is no ${network}`);
      else {
        const stage = await ctcAligner.load(ctcAligner.config.parse({ model: network }), scope);
        figures.push(...(await measureOne('ctc wav2vec2-base-960h', stage, clips, bench)));
      }
    } finally {
      await scope.close();
    }
    return figures;
  },
};
