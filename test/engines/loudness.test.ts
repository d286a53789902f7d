import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Levelling } from '../../media/levelling.ts';
import { LoudnessMeter, speechLoudness } from '../../media/loudness.ts';
import { Master } from '../../media/mastering.ts';
import { OPUS_FRAME, OpusDecoder, OpusEncoder } from '../../media/opus.ts';
import { resample } from '../../media/resample.ts';
import { type SampleRate, at, samples } from '../../media/time.ts';
import { TruePeakMeter, truePeak } from '../../media/true-peak.ts';
import { decode, missing, recording } from '../fakes/recordings.ts';

const RATE = 48_000;
const CLIPS = {
  webcam: 'talking/open-dubbing/englishvideo.mp4',
  minute: 'talking/musetalk/eng.wav',
  address: 'speech/faster-whisper/jfk.flac',
  telephone: 'diar/pyannote_sample/sample.wav',
  full: 'talking/musetalk/yongen.wav',
} as const;
const clips = Object.entries(CLIPS);
const MEETING = ['meeting', 'diar/pyannote_debug_ami/trn03.flac'] as const;
const without = missing(...Object.values(CLIPS), MEETING[1]);
const gained = (pcm: Float32Array, db: number) => pcm.map((x) => x * 10 ** (db / 20));

/** What FFmpeg's own meter says of it. */
function ebur128(channels: readonly Float32Array[]) {
  const file = join(tmpdir(), `livedub-loudness-${process.pid}.f32`);
  const woven = new Float32Array(channels.length * channels[0]!.length);
  channels.forEach((pcm, c) => pcm.forEach((x, i) => (woven[i * channels.length + c] = x)));
  writeFileSync(file, new Uint8Array(woven.buffer));
  const meter = `ebur128=dualmono=true:peak=true:metadata=1,ametadata=print:file=-`;
  const input = ['-f', 'f32le', '-ar', String(RATE), '-ac', String(channels.length), '-i', file];
  const text = execFileSync('ffmpeg', ['-v', 'error', ...input, '-af', meter, '-f', 'null', '-'], {
    maxBuffer: 1 << 28,
    encoding: 'utf8',
  });
  const values = (key: string) =>
    [...text.matchAll(new RegExp(`^lavfi\\.r128\\.${key}=(\\S+)$`, 'gm'))].map((match) => Number(match[1]));
  return {
    integrated: values('I').at(-1)!,
    momentary: Math.max(...values('M')),
    shortTerm: Math.max(...values('S')),
    range: values('LRA').at(-1)!,
    truePeak: 20 * Math.log10(Math.max(...values('true_peak'))),
  };
}

describe.skipIf(without)(`real speech${without ? ` (${without})` : ''}`, () => {
  test.for(clips)('%s: mono is as loud, as wide and as high as FFmpeg says it is from two loudspeakers', ([, file]) => {
    const pcm = decode(recording(file), RATE);
    const theirs = ebur128([pcm]);
    const ours = new LoudnessMeter(RATE);
    for (let i = 0; i < pcm.length; i += 960) ours.push(pcm.subarray(i, i + 960));
    expect(Math.abs(ours.integrated - theirs.integrated)).toBeLessThan(0.1);
    expect(Math.abs(ours.loudestMomentary - theirs.momentary)).toBeLessThan(0.1);
    expect(Math.abs(ours.loudestShortTerm - theirs.shortTerm)).toBeLessThan(0.1);
    expect(Math.abs(truePeak(pcm) - theirs.truePeak)).toBeLessThan(0.2);
    // FFmpeg counts the first 3 s too, as if silence came before; so this is comparable only where there is much more.
    if (pcm.length > 20 * RATE) expect(Math.abs(ours.range - theirs.range)).toBeLessThan(0.5);
  });

  test('two channels that differ are as loud as FFmpeg says', () => {
    const left = decode(recording(CLIPS.minute), RATE).subarray(0, 20 * RATE);
    const right = gained(decode(recording(CLIPS.telephone), RATE), 6).subarray(0, 20 * RATE);
    const theirs = ebur128([left, right]);
    const ours = new LoudnessMeter(RATE);
    ours.push(left, right);
    expect(Math.abs(ours.integrated - theirs.integrated)).toBeLessThan(0.1);
    expect(Math.abs(ours.loudestMomentary - theirs.momentary)).toBeLessThan(0.1);
    expect(Math.abs(ours.loudestShortTerm - theirs.shortTerm)).toBeLessThan(0.1);
  });

  test('a true peak measured in small blocks is that of the whole', () => {
    const pcm = decode(recording(CLIPS.address), RATE);
    const meter = new TruePeakMeter();
    for (let i = 0; i < pcm.length; i += 77) meter.push(pcm.subarray(i, i + 77));
    meter.push(new Float32Array(8));
    expect(meter.truePeak).toBe(truePeak(pcm));
  });

  test.for([8_000, 16_000, 22_050, 24_000, 32_000, 44_100] as const)(
    'narrow speech is as loud at %d Hz as at 48 kHz',
    (rate: SampleRate) => {
      // 8 kHz carries all of it: what is measured is the meter, not what a low rate leaves out.
      const narrow = decode(recording(CLIPS.minute), 8_000).subarray(0, 10 * 8_000);
      const here = speechLoudness(resample(narrow, 8_000, rate), rate)!;
      const there = speechLoudness(resample(narrow, 8_000, RATE), RATE)!;
      expect(Math.abs(here - there)).toBeLessThan(rate === 8_000 ? 0.3 : 0.1);
    },
  );

  test.for([CLIPS.webcam, CLIPS.full, CLIPS.address])(
    'a line of %s has the same loudness at 16 kHz as at 48 kHz, to a tenth of a decibel',
    (file) => {
      const wide = decode(recording(file), RATE);
      for (const [from, to] of [
        [1.2, 2],
        [2, 3.5],
        [0, 8],
      ] as const) {
        const full = speechLoudness(wide.subarray(from * RATE, to * RATE), RATE)!;
        const low = resample(wide, RATE, 16_000).subarray(from * 16_000, to * 16_000);
        expect(Math.abs(speechLoudness(low, 16_000)! - full)).toBeLessThan(0.1);
      }
    },
  );

  test('pauses in a line do not change its loudness, and scaling it does by exactly that much', () => {
    const line = decode(recording(CLIPS.webcam), 16_000).subarray(1.3 * 16_000, 3.9 * 16_000);
    const plain = speechLoudness(line, 16_000)!;
    const half = line.length >> 1;
    const parted = new Float32Array(line.length + 3 * 16_000);
    parted.set(line.subarray(0, half), 16_000);
    parted.set(line.subarray(half), half + 2 * 16_000);
    expect(Math.abs(speechLoudness(parted, 16_000)! - plain)).toBeLessThan(0.4);
    expect(speechLoudness(gained(line, -6), 16_000)).toBeCloseTo(plain - 6, 3);
  });
});

/** Plays a programme live: the levelling hears 4 s ahead, frames of 20 ms. */
function play(pcm: Float32Array, target?: number): { heard: Float32Array; master: Master } {
  const levelling = new Levelling({ rate: RATE, target });
  const master = new Master({ rate: RATE, levelling });
  const heard = new Float32Array(pcm.length);
  let known = 0;
  for (let i = 0; i < pcm.length; i += OPUS_FRAME) {
    for (; known < Math.min(pcm.length, i + 4 * RATE); known += OPUS_FRAME) {
      levelling.push({ start: at(samples(known, RATE)), rate: RATE, pcm: pcm.subarray(known, known + OPUS_FRAME) });
    }
    const frame = pcm.subarray(i, i + OPUS_FRAME);
    heard.set(master.process({ left: frame, right: frame }, i).left, i);
  }
  return { heard, master };
}
function throughOpus(pcm: Float32Array, bitrate: number): Float32Array {
  using encoder = new OpusEncoder({ bitrate, fec: true });
  using decoder = new OpusDecoder();
  const out = new Float32Array(pcm.length);
  for (let i = 0; i + OPUS_FRAME <= pcm.length; i += OPUS_FRAME) {
    out.set(decoder.decode(encoder.encode(pcm.subarray(i, i + OPUS_FRAME))), i);
  }
  return out;
}
const integrated = (pcm: Float32Array) => {
  const meter = new LoudnessMeter(RATE);
  meter.push(pcm);
  return meter.integrated;
};

describe.skipIf(without)(`real speech through the master${without ? ` (${without})` : ''}`, () => {
  test.for([...clips, MEETING].flatMap(([name, file]) => [-20, 0, 10].map((db) => [name, db, file] as const)))(
    '%s, made %d dB louder, comes out at −23 ± 1 LUFS with peaks below −1 dBTP, after Opus too',
    ([, db, file]) => {
      const { heard, master } = play(gained(decode(recording(file), RATE), db), -23);
      expect(Math.abs(integrated(heard) + 23)).toBeLessThan(1);
      expect(Math.abs(master.levels.integrated - integrated(heard))).toBeLessThan(1e-6);
      expect(truePeak(heard)).toBeLessThanOrEqual(-1);
      expect(truePeak(throughOpus(heard, 48_000))).toBeLessThanOrEqual(-1);
    },
  );

  // Not the meeting: of that Opus makes peaks 3 dB higher when it is driven so hard.
  test.for(clips)('%s, driven into the limiter, keeps below −1 dBTP after Opus', ([, file]) => {
    const { heard } = play(gained(decode(recording(file), RATE), 12), -14);
    expect(truePeak(heard)).toBeLessThanOrEqual(-3.1);
    for (const bitrate of [32_000, 48_000, 64_000]) {
      expect(truePeak(throughOpus(heard, bitrate))).toBeLessThanOrEqual(-1);
    }
  });

  test('without a target the programme comes out as it went in, a look-ahead later', () => {
    const pcm = decode(recording(CLIPS.telephone), RATE);
    const { heard, master } = play(pcm);
    const late = heard.subarray(master.lookahead);
    expect(late.every((x, i) => x === pcm[i])).toBe(true);
  });
});
