import { expect, test } from 'vitest';
import { StreamSource } from '../../gateway/session/stream-source.ts';
import { type Anchor, ManualClock, mediaAt } from '../../media/clock.ts';
import type { ProgrammeItem } from '../../media/programme.ts';
import { Scope } from '../../media/scope.ts';
import { at, earlier, ms, seconds } from '../../media/time.ts';
import { VideoLine } from '../../media/video-line.ts';
import { infoOf, merged, opener, soundItems } from '../fakes/programmes.ts';

const DELAY = seconds(2);
/** What a session holds of its pictures when it is shown 2 s late: its delay and 3 s. */
const HELD = seconds(5);

test.for([2, 4, 6])('a source that takes %s s to open is shown as soon as it is open', async (opening) => {
  await using scope = new Scope('test');
  const clock = new ManualClock();
  const pictures = Array.from({ length: 25 * 14 }, (_, n): ProgrammeItem => {
    const keyFrame = n % 25 === 0;
    return {
      kind: 'video',
      start: at(n * 40_000),
      keyFrame,
      codec: 'VP8',
      data: Uint8Array.of(keyFrame ? 0 : 1, 2, 3),
    };
  });
  const items = merged(soundItems(new Float32Array(14 * 48_000).fill(0.5)), pictures);
  const line = new VideoLine({ duration: HELD });
  let anchor: Anchor | undefined;
  const source = new StreamSource(
    {
      ...{ clock, pace: 'arrival', behind: seconds(1), onState: () => {}, onFirst: (first) => (anchor = first) },
      open: opener(clock, () => ({ info: infoOf('VP8'), items, paced: true, burst: opening * 75, hangs: true })),
      sink: { audio: () => {}, format: () => {}, video: (unit) => void line.push(unit) },
    },
    scope,
  );
  const last = seconds(4);
  let shown = 0;
  for (let n = 0; n < 8 * 50; n += 1) {
    await clock.advance(ms(20));
    await new Promise((wake) => setImmediate(wake));
    source.tick();
    const due = anchor ? line.take(earlier(mediaAt(anchor, clock.now()), DELAY)) : [];
    if (clock.now() >= last) shown += due.length;
  }
  expect(Math.abs(shown - 100)).toBeLessThan(5);
});
