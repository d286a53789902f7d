import { type Anchor, MonotonicClock, clockAt, mediaAt } from '../../media/clock.ts';
import { Footage } from '../../media/footage.ts';
import { Scope } from '../../media/scope.ts';
import {
  type ClockTime,
  type Interval,
  type MediaTime,
  type Span,
  at,
  between,
  earlier,
  later,
  ms,
  seconds,
} from '../../media/time.ts';
import type { VideoFrame } from '../../media/video-frame.ts';
import { registry } from '../../models/index.ts';
import { Attention } from '../../pipeline/attention.ts';
import { Binding } from '../../pipeline/binding.ts';
import type { Seen } from '../../pipeline/face.ts';
import { Fault } from '../../pipeline/fault.ts';
import { LipPath } from '../../pipeline/lip-path.ts';
import { lipStages } from '../lip-engines.ts';
import type { FromLips, ToLips } from './lips-ipc.ts';
import { networkViews } from './network-views.ts';
import { ProcessLoad } from './process-load.ts';

/**
 * The picture process: looks at the programme's pictures, finds out who speaks, and drives mouths. Whatever happens to it,
 * the session goes on with the pictures as they are.
 */
const scope = new Scope('lips');
const clock = new MonotonicClock();
const tell = (message: FromLips): void => {
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
};

const complain = ({ stage, kind, message }: Fault): void => tell({ type: 'fault', stage, kind, message });

/** Looking that fell behind goes on so far ahead of what is played. */
const CATCH_UP = ms(500);
const PULSE_EVERY = 1_000;
/** Where faces are is told so often. */
const FACES_EVERY = ms(200);

const attention = new Attention();
const load = new ProcessLoad();
let schedule: { readonly anchor: Anchor; readonly delay: Span; readonly lead: Span } | undefined;
let keep = seconds(10);
let footage: Footage | undefined;
let looking: AbortController | undefined;
/** These pictures cannot be looked at: they are of a kind that is not decoded. */
let blind = false;
let path: LipPath | undefined;
let [seen, skipped] = [0, 0];
/** Whether a voice takes guides. */
let guiding = false;
let facesTold: MediaTime | undefined;
/** Of the pictures that are looked at. */
let height = 1;
let news = () => {};

/** When a driven picture must be on its way. */
const deadline = (t: MediaTime): ClockTime =>
  schedule
    ? earlier(later(clockAt(schedule.anchor, t), schedule.delay), schedule.lead)
    : (Number.POSITIVE_INFINITY as ClockTime);

async function start({ spec, keep: held }: Extract<ToLips, { type: 'start' }>): Promise<void> {
  keep = held;
  const stages = await lipStages(spec, registry(), scope, (kind, failure) => complain(Fault.from(kind, failure)));
  path = new LipPath({
    stages,
    clock,
    pace: 'live',
    binder: new Binding(),
    deadline,
    footage: (interval, signal) => footage?.frames(interval, signal) ?? none(),
    onDriven: (language, driven) => tell({ type: 'driven', language, driven }),
    onTake: (report) => tell({ type: 'report', report }),
    onSeen: tellFaces,
    onGuide: (utterance, guide) => {
      if (guiding) tell({ type: 'guide', utterance, guide });
    },
    onFault: complain,
  });
  scope.defer(() => path?.close());
  const timer = setInterval(pulse, PULSE_EVERY);
  scope.defer(() => clearInterval(timer));
  tell({ type: 'ready' });
  pulse();
}
async function* none(): AsyncGenerator<VideoFrame, void> {
  return;
}

function begin(codec: Extract<ToLips, { type: 'codec' }>['codec']): void {
  looking?.abort();
  news();
  footage?.close();
  footage = new Footage({ codec, keep });
  looking = new AbortController();
  blind = false;
  const { signal } = looking;
  void look(footage, signal).catch((failure: unknown) => {
    blind = !signal.aborted;
    complain(Fault.from('faceTracker', failure));
  });
}

/** Looks at whatever attention is asked for, in order, and skips what cannot be of use any more. */
async function look(reel: Footage, signal: AbortSignal): Promise<void> {
  let cursor = Number.NEGATIVE_INFINITY as MediaTime;
  while (!signal.aborted) {
    const asked = attention.after(cursor);
    if (!asked || !path) {
      await new Promise<void>((resolve) => (news = resolve));
      continue;
    }
    const from = at(Math.max(asked.start, cursor + 1));
    const stretch: Interval = {
      start: from,
      get end() {
        return attention.after(from)?.end ?? from;
      },
    };
    let behind = false;
    for await (const frame of reel.frames(stretch, signal)) {
      cursor = frame.start;
      if (clock.now() >= deadline(frame.start) && schedule) {
        skipped += 1;
        const { anchor, delay, lead } = schedule;
        const hopeless = later(earlier(mediaAt(anchor, clock.now()), delay), lead);
        cursor = at(Math.max(cursor, later(hopeless, CATCH_UP)));
        behind = true;
        break;
      }
      seen += 1;
      height = frame.height;
      await path.see(frame);
      if (signal.aborted) return;
    }
    if (!behind) cursor = at(Math.max(cursor, stretch.end));
  }
}

function tellFaces({ start: now, faces }: Seen): void {
  if (facesTold !== undefined && Math.abs(between(facesTold, now)) < FACES_EVERY) return;
  facesTold = now;
  tell({
    type: 'faces',
    at: now,
    faces: faces
      .toSorted((a, b) => b.box.height - a.box.height)
      .map(({ box }) => ({ top: box.top / height, bottom: (box.top + box.height) / height })),
  });
}

function pulse(): void {
  if (!path) return;
  const { cpu, rssMiB } = load.read();
  tell({
    type: 'pulse',
    able: path.able && !blind,
    stages: path.reports,
    networks: networkViews(),
    seen,
    skipped,
    cpu,
    rssMiB,
  });
}

async function end(code: number): Promise<void> {
  looking?.abort();
  footage?.close();
  await scope.close().catch(() => {});
  process.exit(code);
}

function hear(message: ToLips): void {
  switch (message.type) {
    case 'start':
      void start(message).catch((failure: unknown) => {
        complain(Fault.from('faceTracker', failure));
        void end(1);
      });
      return;
    case 'codec':
      return begin(message.codec);
    case 'picture':
      return footage?.push(message.picture);
    case 'audio':
      return path?.hear(message.chunk);
    case 'schedule':
      schedule = message;
      return;
    case 'attend':
      attention.add(message.interval);
      return news();
    case 'said':
      return path?.said(message.saying);
    case 'guides':
      guiding = true;
      return;
    case 'take':
      attention.add(message.take);
      news();
      return path?.drive(message.take);
    case 'expect':
      return path?.expect(message.language);
    case 'forget':
      return path?.forget(message.language);
    case 'stop':
      return void end(0);
  }
}
process.on('message', hear);
process.on('disconnect', () => void end(0));
process.on('SIGINT', () => {});
process.on('SIGTERM', () => void end(0));
