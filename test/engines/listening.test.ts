import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listenFor } from '../../gateway/listening.ts';
import { Witness } from '../../gateway/report.ts';
import type { LineRecord } from '../../gateway/session/ipc.ts';
import { OPUS_FRAME, OpusDecoder, OpusEncoder } from '../../media/opus.ts';
import { resample } from '../../media/resample.ts';
import { type ClockTime, type MediaTime, at, later, ms, samples, seconds } from '../../media/time.ts';
import { decibels } from '../../media/decibels.ts';
import { Timeline } from '../../media/timeline.ts';
import { decode, flite } from '../fakes/recordings.ts';

const lacking = ['flite', 'espeak-ng', 'ffmpeg'].find((program) => spawnSync(program, ['--version']).error);
const folder = mkdtempSync(join(tmpdir(), 'livedub-listening-'));
afterAll(() => rmSync(folder, { recursive: true }));

const UNDER = 0.1;
/** What the programme says: speech with short pauses, so that nearly every dub lies over a loud original. */
const ENGLISH =
  'Good morning, everyone. The river has risen by two metres since last night. Schools will stay closed until Monday. ' +
  'Please do not drive unless you have to. The council will meet again at six o clock.';

/** Spanish of espeak-ng's, without the silence around it, at the loudness of the original. */
function spanish(text: string, like: Float32Array): Float32Array {
  const wav = join(folder, 'said.wav');
  execFileSync('espeak-ng', ['-v', 'es', '-w', wav, text]);
  const pcm = decode(wav, 48_000);
  const loud = (x: number) => Math.abs(x) > 0.01;
  const level = rms(like) / rms(pcm);
  return pcm.slice(pcm.findIndex(loud), pcm.findLastIndex(loud)).map((x) => x * level);
}
const rms = (pcm: Float32Array) => Math.sqrt(pcm.reduce((sum, x) => sum + x * x, 0) / pcm.length);

/** As a viewer hears it: through an encoder of its own and back. */
function received(pcm: Float32Array): { heard: Float32Array; packets: Uint8Array[] } {
  using encoder = new OpusEncoder({ bitrate: 48_000 });
  using decoder = new OpusDecoder();
  const heard = new Float32Array(pcm.length);
  const packets: Uint8Array[] = [];
  for (let i = 0; i + OPUS_FRAME <= pcm.length; i += OPUS_FRAME) {
    const packet = encoder.encode(pcm.slice(i, i + OPUS_FRAME));
    packets.push(packet);
    heard.set(decoder.decode(packet), i);
  }
  return { heard, packets };
}

/** The original with clips laid over it as a session does it. */
function dubbed(original: Float32Array, clips: readonly { start: MediaTime; pcm: Float32Array }[]): Float32Array {
  const timeline = new Timeline({
    delay: seconds(0),
    rate: 48_000,
    anchor: { media: at(0), clock: 0 as ClockTime },
    mix: { under: decibels(UNDER) },
    keep: seconds(60),
  });
  for (const { start, pcm } of clips)
    expect(timeline.dub('es').place({ start, end: later(start, samples(pcm.length, 48_000)), pcm })).toBe(true);
  timeline.pushOriginal({ start: at(0), rate: 48_000, pcm: original });
  return timeline.take(samples(original.length, 48_000) as number as ClockTime).dubs.get('es')!.left;
}

describe.skipIf(lacking)(`listening to what was received (needs ${lacking ?? 'flite and espeak-ng'})`, () => {
  let original: Float32Array;
  let heardOriginal: ReturnType<typeof received>;
  const voices: Float32Array[] = [];
  beforeAll(() => {
    const said = resample(flite(ENGLISH), 16_000, 48_000);
    original = said.slice(0, Math.floor(said.length / OPUS_FRAME) * OPUS_FRAME);
    heardOriginal = received(original);
    for (const text of ['El río ha crecido dos metros.', 'Las escuelas no abren hasta el lunes.', 'Gracias.'])
      voices.push(spanish(text, original));
  });
  const placeOf = (start: MediaTime, pcm: Float32Array) => ({ start, end: later(start, samples(pcm.length, 48_000)) });

  test('a dub in its place is heard, and begins within 40 ms of it', () => {
    for (const [i, voice] of voices.entries())
      for (const start of [at(1_500_000), at(3_210_000), at(5_800_000 + i * 70_000)]) {
        const { heard } = received(dubbed(original, [{ start, pcm: voice }]));
        const found = listenFor(placeOf(start, voice), heard, heardOriginal.heard, UNDER);
        expect(found.heard).toBe(true);
        expect(Math.abs(found.offset!)).toBeLessThanOrEqual(ms(40));
      }
  });

  test('it is heard as well where the original is not lowered under it', () => {
    const start = at(2_000_000);
    const mixed = original.slice();
    voices[0]!.forEach((x, i) => (mixed[96_000 + i]! += x));
    const found = listenFor(placeOf(start, voices[0]!), received(mixed).heard, heardOriginal.heard, 1);
    expect(found.heard).toBe(true);
    expect(Math.abs(found.offset!)).toBeLessThanOrEqual(ms(40));
  });

  test.for([-60, 60, 150, 400])('one that begins %i ms off its place says so', (shift) => {
    const start = at(3_000_000);
    const { heard } = received(dubbed(original, [{ start: later(start, ms(shift)), pcm: voices[1]! }]));
    const found = listenFor(placeOf(start, voices[1]!), heard, heardOriginal.heard, UNDER);
    expect(found.heard).toBe(true);
    expect(Math.abs(found.offset! / 1_000 - shift)).toBeLessThanOrEqual(40);
  });

  test('one that is not there is not heard: two encodings of the same sound are no voice', () => {
    const another = received(new Float32Array([...new Float32Array(OPUS_FRAME), ...original]));
    const again = another.heard.subarray(OPUS_FRAME);
    for (let start = 0; start < 8; start += 0.5) {
      const place = placeOf(at(start * 1e6), voices[0]!);
      expect(listenFor(place, heardOriginal.heard, heardOriginal.heard, UNDER).heard).toBe(false);
      expect(listenFor(place, again, heardOriginal.heard, UNDER).heard).toBe(false);
    }
  });

  test('one that sounds a second elsewhere is not heard in its place', () => {
    const pcm = voices[2]!;
    const start = at(5_000_000);
    const { heard } = received(dubbed(original, [{ start: later(start, seconds(2)), pcm }]));
    expect(listenFor(placeOf(start, pcm), heard, heardOriginal.heard, UNDER).heard).toBe(false);
  });

  describe('by a witness', () => {
    const lineOf = (clip: { start: MediaTime; end: MediaTime }): LineRecord => ({
      utterance: `u${clip.start}`,
      language: 'es',
      speaker: 'speaker 1',
      source: '',
      text: '',
      start: clip.start,
      end: clip.end,
      dub: clip,
      outcome: 'dubbed',
      speed: 1,
      rung: 'natural',
      trimmedWords: 0,
      fit: null,
      after: { recognised: 0, translated: 0, synthesised: 0, placed: 0 },
      slack: 0,
    });
    /** Sums up what came of `mixed` when `places` were announced; the programme begins at 20 s. */
    function witnessed(mixed: Float32Array, places: readonly { start: MediaTime; end: MediaTime }[]) {
      const origin = at(20_000_000);
      const witness = new Witness();
      for (const [track, { packets }] of [
        ['original', heardOriginal],
        ['dub:es', received(mixed)],
      ] as const)
        packets.forEach((packet, i) => witness.audio(track, later(origin, samples(i * OPUS_FRAME, 48_000)), packet));
      const moved = places.map(({ start, end }) => ({
        start: later(start, seconds(20)),
        end: later(end, seconds(20)),
      }));
      const report = witness.sum({
        programme: 'x',
        from: 'en',
        to: ['es'],
        delay: 5,
        underDub: UNDER,
        loudness: null,
        lines: moved.map(lineOf),
        recorded: { file: 'x', seconds: 12, pictures: 0, packetsLost: 0 },
        span: { start: origin, end: later(origin, samples(original.length, 48_000)) },
      });
      witness.close();
      return report.listening;
    }

    test('dubs are heard one by one, also those that follow each other at once; the one that is missing is not', () => {
      const [first, second, third] = voices as [Float32Array, Float32Array, Float32Array];
      const start = at(1_000_000);
      const next = later(placeOf(start, first).end, ms(30));
      const last = later(placeOf(next, second).end, ms(30));
      const places = [placeOf(start, first), placeOf(next, second), placeOf(last, third)];
      const clips = [
        { start, pcm: first },
        { start: next, pcm: second },
        { start: last, pcm: third },
      ];
      const all = witnessed(dubbed(original, clips), places);
      expect(all).toMatchObject({ scheduled: 3, heard: 3, offsetMs: { count: 3 } });
      expect(Math.max(Math.abs(all.offsetMs!.min), Math.abs(all.offsetMs!.max))).toBeLessThanOrEqual(40);
      expect(witnessed(dubbed(original, clips.slice(0, 2)), places)).toMatchObject({ scheduled: 3, heard: 2 });
    });
  });
});
