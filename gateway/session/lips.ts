import { fork } from 'node:child_process';
import type { AudioChunk } from '../../media/audio.ts';
import type { Anchor, Clock } from '../../media/clock.ts';
import { entry } from '../../media/entry.ts';
import { keepNewest } from '../../media/newest.ts';
import { Depacketizer } from '../../media/packetize.ts';
import type { Scope } from '../../media/scope.ts';
import { type Interval, type MediaTime, type Span, between, ms, seconds, toMs } from '../../media/time.ts';
import type { AccessUnit, VideoCodec } from '../../media/video.ts';
import type { FaceSpan } from '../../pipeline/cue-layout.ts';
import type { Guide, Language, UtteranceId } from '../../pipeline/domain.ts';
import type { Take } from '../../pipeline/face.ts';
import type { StageReport } from '../../pipeline/health.ts';
import type { DrivenPicture, Saying, TakeReport } from '../../pipeline/lip-path.ts';
import type { SessionSpec } from '../config.ts';
import type { NetworkView } from '../protocol.ts';
import { RestartPolicy } from '../restart-policy.ts';
import type { FromLips, ToLips } from './lips-ipc.ts';

export interface LipsOptions {
  readonly spec: SessionSpec;
  readonly clock: Clock;
  /** How much programme the process holds. */
  readonly keep: Span;
  readonly onDriven: (language: Language, driven: DrivenPicture) => void;
  readonly onReport: (report: TakeReport) => void;
  readonly onFault: (fault: Pick<Extract<FromLips, { type: 'fault' }>, 'stage' | 'kind' | 'message'>) => void;
  /** It can drive from now on, or cannot any more. */
  readonly onChange: () => void;
  /** The built file that is run; ours unless told. */
  readonly program?: string;
}

/** Messages on their way to the process; pictures that come while so many are under way are left out. */
const UNDERWAY = 256;
/** A process that has said nothing for so long hangs, ms. Loading models takes a while. */
const SILENT_FOR = 5_000;
const LOADS_WITHIN = 60_000;
/** A process that dies again and again is tried so often. */
const CRASHING = seconds(60);
/** Places of faces that are remembered. */
const FACES = 256;
/** Utterances whose guides are remembered. */
const GUIDES = 64;

/**
 * The session's picture process: fed with what comes in, asked to drive takes. It may be slow, hang or die at any time;
 * then nothing comes from it, and it is started again.
 */
export class Lips {
  readonly #options: LipsOptions;
  readonly #scope: Scope;
  readonly #policy = new RestartPolicy();
  #child: ReturnType<typeof fork> | undefined;
  #codec: VideoCodec | undefined;
  #frames: Depacketizer | undefined;
  #schedule: Extract<ToLips, { type: 'schedule' }> | undefined;
  #pulse: Extract<FromLips, { type: 'pulse' }> | undefined;
  #ready = false;
  readonly #expected = new Set<Language>();
  #underway = 0;
  /** Pictures follow only from a key frame on. */
  #broken = true;
  #watchdog: NodeJS.Timeout | undefined;
  #again: NodeJS.Timeout | undefined;
  #faces: { readonly at: MediaTime; readonly faces: readonly FaceSpan[] }[] = [];
  readonly #guides = new Map<UtteranceId, Guide>();
  #guiding = false;
  #restarts = 0;
  #unsent = 0;

  constructor(options: LipsOptions, scope: Scope) {
    this.#options = options;
    this.#scope = scope;
    scope.defer(() => {
      clearTimeout(this.#watchdog);
      clearTimeout(this.#again);
      this.#child?.removeAllListeners('exit');
      this.#child?.kill('SIGKILL');
      this.#child = undefined;
    });
    this.#spawn();
  }

  /** Whether mouths can be driven at present. */
  get able(): boolean {
    return this.#ready && this.#pulse?.able === true;
  }
  /** Whether takes are of use: also while it cannot drive, as a stage that is down shows on the next one that it is up again. */
  get listens(): boolean {
    return this.#ready;
  }
  get stages(): readonly StageReport[] {
    return this.#pulse?.stages ?? [];
  }
  get networks(): readonly NetworkView[] {
    return this.#pulse?.networks ?? [];
  }
  /** Its process id, while it runs. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }
  get figures(): {
    readonly seen: number;
    readonly skipped: number;
    readonly unsent: number;
    readonly cpu: number;
    readonly rssMiB: number;
    readonly restarts: number;
  } {
    const { seen = 0, skipped = 0, cpu = 0, rssMiB = 0 } = this.#pulse ?? {};
    return { seen, skipped, unsent: this.#unsent, cpu, rssMiB, restarts: this.#restarts };
  }

  /** The largest face's place in the picture at `at`, as far as it is known. */
  faceAt(at: MediaTime): FaceSpan | undefined {
    const near = this.#faces.findLast((each) => Math.abs(between(each.at, at)) < ms(1_000));
    return near?.faces[0];
  }

  /** What the face of whoever said that showed, as far as it is known by now. */
  guideOf(utterance: UtteranceId): Guide | undefined {
    return this.#guides.get(utterance);
  }
  /** Asks for guides from now on: a voice takes them. */
  guide(): void {
    if (this.#guiding) return;
    this.#guiding = true;
    this.#send({ type: 'guides' });
  }

  codec(codec: VideoCodec): void {
    this.#codec = codec;
    this.#frames = new Depacketizer(codec);
    this.#broken = true;
    this.#send({ type: 'codec', codec });
  }
  picture({ start, keyFrame, payloads }: AccessUnit): void {
    if (!this.#ready || (this.#broken && !keyFrame)) return;
    if (this.#underway >= UNDERWAY) {
      this.#broken = true;
      this.#unsent += 1;
      return;
    }
    const data = this.#frames?.frame(payloads);
    if (!data) return;
    this.#broken = false;
    this.#send({ type: 'picture', picture: { start, keyFrame, data } });
  }
  /** 16 kHz mono. */
  audio(chunk: AudioChunk): void {
    if (this.#ready) this.#send({ type: 'audio', chunk });
  }
  schedule(anchor: Anchor, delay: Span, lead: Span): void {
    this.#schedule = { type: 'schedule', anchor, delay, lead };
    this.#send(this.#schedule);
  }
  attend(interval: Interval): void {
    this.#send({ type: 'attend', interval });
  }
  said({ id, speaker, start, end }: Saying): void {
    this.#send({ type: 'said', saying: { id, speaker, start, end } });
  }
  drive(take: Take): void {
    this.#send({ type: 'take', take });
  }
  /** Takes of that language are to come. */
  expect(language: Language): void {
    this.#expected.add(language);
    if (this.#ready) this.#send({ type: 'expect', language });
  }
  forget(language: Language): void {
    this.#expected.delete(language);
    this.#send({ type: 'forget', language });
  }

  #send(message: ToLips): void {
    const child = this.#child;
    if (!child?.connected) return;
    this.#underway += 1;
    child.send(message, () => {
      if (this.#child === child) this.#underway -= 1;
    });
  }

  #spawn(): void {
    if (this.#scope.signal.aborted) return;
    const { spec, keep, program = entry('./lips-main.ts', import.meta.url) } = this.#options;
    const child = fork(program, {
      execArgv: ['--enable-source-maps'],
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#child = child;
    this.#underway = 0;
    this.#broken = true;
    child.on('message', (message) => {
      if (this.#child === child) this.#hear(message as FromLips);
    });
    child.once('exit', (code, signal) => this.#exited(child, code, signal));
    child.once('error', () => this.#exited(child, null, null));
    this.#watch(LOADS_WITHIN);
    this.#send({ type: 'start', spec, keep });
    if (this.#guiding) this.#send({ type: 'guides' });
    if (this.#codec) this.#send({ type: 'codec', codec: this.#codec });
    if (this.#schedule) this.#send(this.#schedule);
  }

  #hear(message: FromLips): void {
    const { onDriven, onReport, onFault, onChange } = this.#options;
    switch (message.type) {
      case 'ready':
        this.#ready = true;
        for (const language of this.#expected) this.#send({ type: 'expect', language });
        return this.#watch(SILENT_FOR);
      case 'driven':
        return onDriven(message.language, message.driven);
      case 'report':
        return onReport(message.report);
      case 'faces':
        this.#faces.push({ at: message.at, faces: message.faces });
        if (this.#faces.length > FACES) this.#faces.shift();
        return;
      case 'guide':
        this.#guides.set(message.utterance, message.guide);
        keepNewest(this.#guides, GUIDES);
        return;
      case 'fault':
        return onFault(message);
      case 'pulse': {
        const { able } = this;
        this.#pulse = message;
        this.#watch(SILENT_FOR);
        if (able !== this.able) onChange();
        return;
      }
    }
  }

  #watch(patience: number): void {
    clearTimeout(this.#watchdog);
    const child = this.#child;
    this.#watchdog = setTimeout(() => child?.kill('SIGKILL'), patience);
  }

  #exited(child: ReturnType<typeof fork>, code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#child !== child || this.#scope.signal.aborted) return;
    clearTimeout(this.#watchdog);
    this.#child = undefined;
    this.#ready = false;
    this.#pulse = undefined;
    const wait = this.#policy.died(this.#options.clock.now()) ?? CRASHING;
    const how = signal ?? (code === null ? 'did not start' : `exit ${code}`);
    const message = `the picture process died (${how}); it is started again in ${toMs(wait) / 1_000} s`;
    this.#options.onFault({ stage: 'lipDriver', kind: 'unavailable', message });
    this.#options.onChange();
    this.#restarts += 1;
    this.#again = setTimeout(() => this.#spawn(), toMs(wait));
  }
}
