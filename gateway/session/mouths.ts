import { Subject } from 'rxjs';
import { type AudioChunk, endOf } from '../../media/audio.ts';
import type { Anchor, Clock } from '../../media/clock.ts';
import { keepNewest } from '../../media/newest.ts';
import { resample } from '../../media/resample.ts';
import type { Scope } from '../../media/scope.ts';
import { type Interval, type MediaTime, type Span, earlier, later, ms } from '../../media/time.ts';
import type { Patch } from '../../media/video-frame.ts';
import type { AccessUnit, VideoCodec } from '../../media/video.ts';
import type { FaceSpan } from '../../pipeline/cue-layout.ts';
import type { Clip, Guide, Language, Utterance, UtteranceId } from '../../pipeline/domain.ts';
import type { Take } from '../../pipeline/face.ts';
import type { StageReport } from '../../pipeline/health.ts';
import type { DrivenPicture, TakeReport } from '../../pipeline/lip-path.ts';
import { toRate } from '../../pipeline/rate.ts';
import type { SessionSpec } from '../config.ts';
import type { LipsView, NetworkView } from '../protocol.ts';
import { Lips, type LipsOptions } from './lips.ts';
import type { PictureLine } from './output.ts';

/** Delayed pictures some of which are driven. */
export interface DrivenPictures extends PictureLine {
  /** How long before a picture is played its patches must be there. */
  readonly lead: Span;
  /** Pictures that went out driven. */
  readonly shown: number;
  /** Whether that picture is to be driven already. */
  covers(t: MediaTime): boolean;
  /** Pictures are driven there. */
  drive(interval: Interval): void;
  patches(driven: { readonly start: MediaTime; readonly patches: readonly Patch[] }): void;
}

export interface MouthsOptions {
  readonly spec: SessionSpec;
  readonly clock: Clock;
  /** How much programme may lie between its coming in and its being played. */
  readonly keep: Span;
  readonly onFault: LipsOptions['onFault'];
  readonly onChange: () => void;
  /** Opens the line of delayed pictures of one language. */
  readonly line: (codec: VideoCodec, hold: Span) => DrivenPictures;
  readonly program?: string;
}

/** Utterances that are remembered until their clips come. */
const REMEMBERED = 64;
/** Takes of a language whose pictures may still come. */
const TAKES = 32;
/** Pictures around speech are looked at too, for a face to be known when it begins to speak. */
const BEFORE = ms(400);
const BEHIND = ms(400);
const RATE = 16_000;

/**
 * The session's moving mouths: tells the picture process what is said and dubbed, and lays what comes back onto the pictures
 * of each language.
 */
export class Mouths {
  readonly #options: MouthsOptions;
  readonly #lips: Lips;
  readonly #lines = new Map<Language, DrivenPictures>();
  readonly #audio$ = new Subject<AudioChunk>();
  readonly #said = new Map<UtteranceId, Utterance>();
  readonly #driving = new Map<Language, readonly Interval[]>();
  readonly #left: Record<string, number> = {};
  /** Of languages and lines that are gone. */
  readonly #shown: Record<string, number> = {};
  #codec: VideoCodec | undefined;
  #takes = 0;
  #pictures = 0;
  #driven = 0;

  constructor(options: MouthsOptions, scope: Scope) {
    this.#options = options;
    const { spec, clock, keep, onFault, onChange, program } = options;
    this.#lips = new Lips(
      {
        spec,
        clock,
        keep,
        onFault,
        onChange,
        onDriven: (language, driven) => this.#drove(language, driven),
        onReport: (report) => this.#count(report),
        ...(program !== undefined && { program }),
      },
      scope,
    );
    const hearing = this.#audio$.pipe(toRate(RATE)).subscribe((chunk) => this.#lips.audio(chunk));
    scope.defer(() => hearing.unsubscribe());
  }

  /** Codecs whose pictures can be driven: those that can be encoded as fast as they are played. */
  static drives(codec: VideoCodec): codec is 'VP8' | 'VP9' | 'H264' {
    return codec !== 'AV1';
  }

  get able(): boolean {
    return this.#lips.able && this.#codec !== undefined;
  }
  get stages(): readonly StageReport[] {
    return this.#lips.stages;
  }
  get networks(): readonly NetworkView[] {
    return this.#lips.networks;
  }
  get view(): LipsView {
    const { seen, skipped, cpu, rssMiB, restarts } = this.#lips.figures;
    const shown = { ...this.#shown };
    for (const [language, line] of this.#lines) shown[language] = (shown[language] ?? 0) + line.shown;
    const seconds = Object.entries(this.#left).map(([why, span]) => [why, Math.round(span / 1e4) / 100] as const);
    return {
      takes: this.#takes,
      pictures: this.#pictures,
      driven: this.#driven,
      left: Object.fromEntries(seconds),
      seen,
      skipped,
      shown,
      process: { cpu, rssMiB, restarts },
    };
  }

  /** The programme's pictures are of that codec from now on. */
  codec(codec: VideoCodec | undefined): void {
    if (this.#codec === codec) return;
    this.#codec = codec;
    if (codec) this.#lips.codec(codec);
  }
  /** The line of a language's pictures, for the output that sends them. */
  open(language: Language, codec: VideoCodec, hold: Span): PictureLine {
    this.#settle(language);
    const line = this.#options.line(codec, hold);
    this.#lines.set(language, line);
    this.#lips.expect(language);
    return line;
  }
  forget(language: Language): void {
    this.#settle(language);
    this.#driving.delete(language);
    this.#lips.forget(language);
  }

  picture(unit: AccessUnit): void {
    if (this.#codec) this.#lips.picture(unit);
  }
  audio(chunk: AudioChunk): void {
    this.#audio$.next(chunk);
  }
  /** Somebody speaks. */
  speech(chunk: AudioChunk): void {
    if (this.#lines.size === 0) return;
    this.#lips.attend({ start: earlier(chunk.start, BEFORE), end: later(endOf(chunk), BEHIND) });
  }
  said(utterance: Utterance): void {
    this.#said.set(utterance.id, utterance);
    keepNewest(this.#said, REMEMBERED);
    this.#lips.said(utterance);
  }
  /** A clip is in its place: whoever speaks it in the picture is to be seen speaking it. */
  placed(clip: Clip): void {
    const line = this.#lines.get(clip.language);
    const utterance = this.#said.get(clip.utterance);
    if (!line || !utterance || !this.#lips.listens || this.#codec === undefined) return;
    const take = takeOf(clip, utterance);
    this.#takes += 1;
    const { start, end } = take;
    const lately = [...(this.#driving.get(clip.language) ?? []), { start, end }].slice(-TAKES);
    this.#driving.set(clip.language, lately);
    this.#lips.drive(take);
  }
  /** Where the programme is played. */
  schedule(anchor: Anchor, delay: Span): void {
    const lead = Math.max(ms(250), ...[...this.#lines.values()].map((line) => line.lead)) as Span;
    this.#lips.schedule(anchor, delay, lead);
  }
  faceAt(at: MediaTime): FaceSpan | undefined {
    return this.#lips.faceAt(at);
  }
  /** A voice takes guides: they are made from now on. */
  guide(): void {
    this.#lips.guide();
  }
  /** What the face of whoever said that showed, if that is known yet: nobody waits for it. */
  guideOf(utterance: UtteranceId): Guide | undefined {
    return this.#lips.guideOf(utterance);
  }

  /**
   * A picture has been driven. The line is asked to change over where there are patches and not before: a take that came late
   * is driven from where it is in time.
   */
  #drove(language: Language, driven: DrivenPicture): void {
    const line = this.#lines.get(language);
    if (!line) return;
    const { start, patches } = driven;
    if (patches.length > 0 && !line.covers(start)) {
      const take = this.#driving.get(language)?.find((each) => start >= each.start && start < each.end);
      if (take) line.drive({ start, end: take.end });
    }
    line.patches(driven);
  }
  #count({ pictures, driven, left }: TakeReport): void {
    this.#pictures += pictures;
    this.#driven += driven;
    for (const { start, end, why } of left) this.#left[why] = (this.#left[why] ?? 0) + (end - start);
  }
  /** What a line has shown stays counted when it goes. */
  #settle(language: Language): void {
    const line = this.#lines.get(language);
    if (!line) return;
    this.#shown[language] = (this.#shown[language] ?? 0) + line.shown;
    this.#lines.delete(language);
  }
}

/** What is to be driven for a clip: all of the source that it replaces, and all of itself. */
export function takeOf(clip: Clip, utterance: Utterance): Take {
  const { start, end, language, phonemes } = clip;
  return {
    utterance: clip.utterance,
    speaker: utterance.speaker,
    language,
    start: Math.min(start, utterance.start) as MediaTime,
    end: Math.max(end, utterance.end) as MediaTime,
    clip: { start, end },
    pcm: resample(clip.pcm, 48_000, RATE),
    ...(phonemes && { phonemes }),
  };
}
