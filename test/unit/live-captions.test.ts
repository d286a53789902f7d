import { expect, test } from 'vitest';
import { Archive } from '../../gateway/archive.ts';
import type { Audience } from '../../gateway/hosted-session.ts';
import { type Captioned, liveCaptions } from '../../gateway/live-captions.ts';
import type { CueView } from '../../gateway/protocol.ts';
import { ManualClock } from '../../media/clock.ts';
import { parseVtt } from '../fakes/webvtt-parser.ts';

const cue = (n: number, part: Partial<CueView> = {}): CueView => ({
  ...{ id: `u0.${n}`, language: 'es', speaker: 's1', text: `frase ${n}`, lines: [`frase ${n}`], draft: false },
  ...{ start: n * 4e6, end: n * 4e6 + 2e6, voiceEnd: n * 4e6 + 2e6 },
  ...part,
});

/** A session as a reader of its captions sees it. */
class Talk {
  readonly archive = new Archive();
  readonly spec = { from: 'en', to: ['es'] } as unknown as Captioned['spec'];
  over = false;
  readonly there = new Set<Audience>();
  attend(audience: Audience, role: string): () => void {
    expect(role).toBe('reader');
    this.there.add(audience);
    return () => this.there.delete(audience);
  }
  say(...cues: CueView[]): void {
    for (const data of cues) {
      this.archive.cue(data);
      for (const one of this.there) one.event({ event: 'cue', data });
    }
  }
  end(): void {
    this.over = true;
    for (const one of this.there) one.over('The programme is over.');
  }
}
class Counts {
  open = 0;
  slow = 0;
  opened = () => void (this.open += 1);
  closed = (slow: boolean) => {
    this.open -= 1;
    if (slow) this.slow += 1;
  };
}
const closed = (stream: NodeJS.EventEmitter) => new Promise((done) => stream.once('close', done));
const clock = new ManualClock();

test('a reader has the file’s beginning at once, each caption when it is final, and the end with the session', async () => {
  const talk = new Talk();
  const counts = new Counts();
  talk.say(cue(0), cue(1, { draft: true }));
  const stream = liveCaptions(talk, 'es', counts, { clock }).setEncoding('utf8');
  let text = '';
  stream.on('data', (chunk: string) => (text += chunk));
  const over = closed(stream);
  await new Promise((turn) => setImmediate(turn));
  expect(parseVtt(text).cues).toEqual([]);
  expect(text).toContain('::cue(v[voice="Speaker 1"])');
  talk.say(cue(1), cue(1, { language: 'en', text: 'sentence' }));
  await new Promise((turn) => setImmediate(turn));
  expect(parseVtt(text).cues.map(({ id }) => id)).toEqual(['u0.0']);
  expect(counts.open).toBe(1);
  talk.say(cue(2));
  talk.end();
  await over;
  expect(parseVtt(text).cues.map(({ lines }) => lines[0])).toEqual(['frase 0', 'frase 1', 'frase 2']);
  expect([counts.open, counts.slow, talk.there.size]).toEqual([0, 0, 0]);
});

test('after the end there is all that was said, and the end', async () => {
  const talk = new Talk();
  talk.say(cue(0), cue(1));
  talk.end();
  const stream = liveCaptions(talk, 'es', new Counts(), { clock }).setEncoding('utf8');
  let text = '';
  for await (const chunk of stream) text += chunk as string;
  expect(parseVtt(text).cues).toHaveLength(2);
});

test('a reader that does not read is cut off, and counted', async () => {
  const talk = new Talk();
  const counts = new Counts();
  const stream = liveCaptions(talk, 'es', counts, { clock, unread: 4_000 });
  const over = closed(stream);
  for (let n = 0; n < 60; n += 1) talk.say(cue(n));
  await over;
  expect([counts.open, counts.slow, talk.there.size]).toEqual([0, 1, 0]);
});

test('a session has as many readers as it may have, and another when one leaves', async () => {
  const talk = new Talk();
  const counts = new Counts();
  const open = () => liveCaptions(talk, 'es', counts, { clock });
  const streams = Array.from({ length: 100 }, open);
  expect(open).toThrow('100 readers');
  const over = closed(streams[0]!);
  streams[0]!.destroy();
  await over;
  streams.push(open());
  expect(counts.open).toBe(100);
  await Promise.all(streams.slice(1).map((stream) => (stream.destroy(), closed(stream))));
  expect(() => liveCaptions(talk, 'fr', counts, { clock })).toThrow("no captions in 'fr'");
});
