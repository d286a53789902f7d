import { PassThrough, type Readable } from 'node:stream';
import { type Clock, MonotonicClock } from '../media/clock.ts';
import { seconds } from '../media/time.ts';
import { LiveVtt } from '../pipeline/live-vtt.ts';
import type { Caption } from '../pipeline/webvtt.ts';
import type { HostedSession } from './hosted-session.ts';
import type { Metrics } from './metrics.ts';
import type { LanguageTag } from './protocol.ts';
import { refuse } from './refusal.ts';
import { LOOK, SPEAKERS, captionsIn } from './transcript.ts';

/** Readers of one session. Each costs a timer and what it has not read. */
const MOST_READERS = 100;
/** What a reader may leave unread, bytes: all that an archive holds, three times. */
const MOST_UNREAD = 4 * 1024 * 1024;
/** A caption waits this long to learn what follows it. */
const PATIENCE = seconds(2);
const MOST_WAITING = 256;
/** How often it is looked whether one has waited long enough, ms. */
const LOOK_EVERY = 250;

/** What a live reader needs of a session. */
export type Captioned = Pick<HostedSession, 'archive' | 'attend' | 'over' | 'spec'>;
const readers = new WeakMap<Captioned, number>();

/**
 * Captions of one language as WebVTT that goes on while the session does: what was said so far, then each caption once
 * it is final. Ends with the session; a reader that falls far behind is cut off.
 */
export function liveCaptions(
  session: Captioned,
  language: LanguageTag,
  counts: Metrics['captions'],
  { clock = new MonotonicClock(), unread = MOST_UNREAD }: { readonly clock?: Clock; readonly unread?: number } = {},
): Readable {
  const said = captionsIn(session, language);
  const count = readers.get(session) ?? 0;
  if (count >= MOST_READERS)
    throw refuse('limit', `${MOST_READERS} readers follow the captions of this session already.`, null, 'Try later.');
  readers.set(session, count + 1);
  counts.opened();
  const out = new PassThrough();
  const live = new LiveVtt(LOOK, { patience: PATIENCE, most: MOST_WAITING });
  let slow = false;
  const write = (text: string) => {
    if (text === '' || out.destroyed || out.writableEnded) return;
    out.write(text);
    if (out.readableLength + out.writableLength <= unread) return;
    slow = true;
    out.destroy();
  };
  out.write(live.header(SPEAKERS));
  for (const cue of said) {
    if (cue.draft) continue;
    live.push(cue, clock.now());
    write(live.take(clock.now()));
  }
  const leave = session.over
    ? () => {}
    : session.attend(
        {
          event(event) {
            if (event.event !== 'cue' || event.data.language !== language) return;
            live.push(event.data as unknown as Caption, clock.now()); // the same fields, without the types of time
            write(live.take(clock.now()));
          },
          lost: () => {},
          over: () => end(),
        },
        'reader',
      );
  const timer = setInterval(() => write(live.take(clock.now())), LOOK_EVERY);
  function end(): void {
    write(live.end());
    out.end();
  }
  out.once('close', () => {
    clearInterval(timer);
    leave();
    readers.set(session, (readers.get(session) ?? 1) - 1);
    counts.closed(slow);
  });
  if (session.over) end();
  return out;
}
