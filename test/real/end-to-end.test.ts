import { mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Moment, type Wire, follow, wireOf } from '../../bench/browser.ts';
import type { ViewerHook } from '../../client/hook.ts';
import type { HostedSession } from '../../gateway/hosted-session.ts';
import { listenFor } from '../../gateway/listening.ts';
import { levelUnder } from '../../gateway/config.ts';
import type { CueView } from '../../gateway/protocol.ts';
import { Recorder, type Tape } from '../../gateway/recorder.ts';
import { Witness, spread } from '../../gateway/report.ts';
import { root } from '../../gateway/root.ts';
import { MonotonicClock } from '../../media/clock.ts';
import { at } from '../../media/time.ts';
import { ask, eventually } from '../fakes/gateway.ts';
import { Broadcast, LANGUAGES, dubbed, lacking, likeness, log, powerAt } from './broadcast.ts';

const RECORDING = join(tmpdir(), `livedub-end-to-end-${process.pid}.mkv`);
/** Where the screenshots go; git does not see it. */
const SHOTS = join(root, 'out/end-to-end');

describe.skipIf(lacking)(`a programme published from a page${lacking ? ` (skipped: ${lacking})` : ''}`, () => {
  let broadcast: Broadcast;
  let session: HostedSession;
  let viewer: Page;
  let moments: () => Promise<Moment[]>;
  let recorder: Recorder;
  const witness = new Witness();
  const hook = <K extends keyof ViewerHook>(field: K) => viewer.evaluate<ViewerHook[K]>(`window.livedub.${field}`);

  beforeAll(async () => {
    mkdirSync(SHOTS, { recursive: true });
    broadcast = await Broadcast.open('end-to-end');
    session = await broadcast.session('webrtc', LANGUAGES);
    await broadcast.publish(session);
    await broadcast.live(session);
    viewer = await broadcast.browsers.watch(session.id, 'es');
    recorder = await Recorder.open(
      {
        session,
        path: RECORDING,
        clock: new MonotonicClock(),
        onReceived: (packet) => witness.received(packet),
        onAudio: (track, media, payload) => witness.audio(track, media, payload),
      },
      broadcast.scope,
    );
    moments = await follow(viewer);
  });
  afterAll(async () => {
    await recorder?.close();
    witness.close();
    await broadcast?.close();
    rmSync(RECORDING, { force: true });
  });

  test('is seen by a viewer in another page, moving and in the size it was published in', async () => {
    const before = await hook('framesDecoded');
    await eventually(async () => (await hook('framesDecoded')) > before + 50, 'fifty more pictures', 20_000);
    const size = 'document.querySelector("video").videoWidth + "x" + document.querySelector("video").videoHeight';
    await eventually(async () => (await viewer.evaluate(size)) === '640x360', 'the size 640x360', 30_000);
    expect(await hook('state')).toBe('live');
    expect(await hook('mode')).toEqual({ audio: 'dubbed', video: 'original', text: 'translated', quality: 'full' });
  });

  test('has captions, translated and original, of what is heard at that moment', async () => {
    await showCaptions('Both');
    const shown = await eventually(
      async () => {
        const cues = await hook('cues');
        const finished = cues.filter(({ draft }) => !draft);
        return new Set(finished.map(({ language }) => language)).size === 2 && finished;
      },
      'a translated and an original caption at once',
      30_000,
    );
    const heard = (await hook('currentMedia')) ?? 0;
    for (const cue of shown) {
      expect(cue.start).toBeLessThan(heard + 500_000);
      expect(cue.end).toBeGreaterThan(heard - 3e6);
    }
    const known = (cue: CueView) => session.archive.cues(cue.language).some(({ text }) => text === cue.text);
    expect(shown.every(known)).toBe(true);
    await viewer.locator('.captions p[lang=es]').waitFor();
    await viewer.locator('.captions p[lang=en]').waitFor();
    await viewer.screenshot({ path: join(SHOTS, 'viewer-1280.png') });
    await viewer.setViewportSize({ width: 360, height: 780 });
    await viewer.locator('.captions p[lang=es]').waitFor();
    await viewer.screenshot({ path: join(SHOTS, 'viewer-360.png') });
    expect(await viewer.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
    await viewer.setViewportSize({ width: 1_280, height: 720 });
  });

  test('is dubbed: in the place of every clip the viewer hears the dub and not the original', async () => {
    const from = (await moments())[0]?.media ?? 0;
    const clips = await eventually(
      async () => {
        const heard = (await hook('currentMedia')) ?? 0;
        const past = dubbed(session).filter(({ dub }) => dub.start > from + 1e6 && dub.end < heard - 500_000);
        return past.length >= 3 && past;
      },
      'three dubs heard to their end',
      60_000,
    );
    const notes = await moments();
    const [dub, original] = [witness.tape('dub:es')!, witness.tape('original')!];
    const results = clips.map((clip) => {
      const place = { start: at(clip.dub.start - dub.origin), end: at(clip.dub.end - dub.origin) };
      const heard = notes.filter(({ media }) => media >= clip.dub.start && media < clip.dub.end);
      const like = (tape: typeof dub) => Math.max(...LAGS.map((lag) => likeLoud(heard, tape, lag)));
      return {
        text: clip.text,
        ...listenFor(place, dub.pcm, original.pcm, levelUnder(session.spec.mix)),
        power: powerAt(notes, clip.dub.start, clip.dub.end) ?? 0,
        likeDub: like(dub),
        likeOriginal: like(original),
      };
    });
    log('dubs', results);
    expect(recorder.lost).toBe(0);
    for (const { heard, power } of results) {
      expect(heard).toBe(true);
      expect(power).toBeGreaterThan(0.02 ** 2);
    }
    const offsets = spread(results.flatMap(({ offset }) => (offset === null ? [] : [offset / 1_000])));
    log('onset, ms', offsets!);
    expect(offsets!.p50).toBeLessThan(100);
    const typical = (values: number[]) => spread(values)!.p50;
    expect(typical(results.map(({ likeDub }) => likeDub))).toBeGreaterThan(0.8);
    expect(typical(results.map(({ likeDub, likeOriginal }) => likeDub - likeOriginal))).toBeGreaterThan(0.3);
  });

  test('keeps picture and sound together', async () => {
    const offsets = (await moments()).flatMap(({ avOffsetMs }) => (Number.isNaN(avOffsetMs) ? [] : [avOffsetMs]));
    const found = spread(offsets)!;
    log('picture behind sound, ms', found);
    expect(Math.abs(found.p50)).toBeLessThan(60);
  });

  test('can be read: a transcript of what was said and WebVTT in both languages', async () => {
    const { body } = await ask<{ lines: { language: string; source: string; text: string; dub: object | null }[] }>(
      broadcast.gateway,
      'GET',
      `/v1/sessions/${session.id}/transcript`,
    );
    const lines = body.lines.filter(({ language, dub }) => language === 'es' && dub !== null);
    expect(lines.length).toBeGreaterThanOrEqual(3);
    const said = broadcast.sample.sentences.map(({ text }) => wordsOf(text));
    const overlaps = lines.map(({ source }) => Math.max(...said.map((sentence) => overlap(wordsOf(source), sentence))));
    log('words recognised as said, share by line', overlaps);
    expect(overlaps.reduce((sum, each) => sum + each, 0) / overlaps.length).toBeGreaterThan(0.6);
    for (const { source, text } of lines) expect(wordsOf(text)).not.toEqual(wordsOf(source));

    for (const language of ['en', 'es']) {
      const {
        status,
        headers,
        body: vtt,
      } = await ask<string>(broadcast.gateway, 'GET', `/v1/sessions/${session.id}/captions/${language}.vtt`);
      expect(status).toBe(200);
      expect(headers.get('content-type')).toContain('text/vtt');
      const [head, style, ...blocks] = vtt.split('\n\n');
      expect(head).toBe('WEBVTT');
      expect(style).toMatch(/^STYLE\n::cue\(v\[voice="Speaker 1"\]\)/);
      expect(blocks.length).toBeGreaterThanOrEqual(3);
      for (const block of blocks)
        expect(block).toMatch(/^\S+\n\d\d+:\d\d:\d\d\.\d{3} --> \d\d+:\d\d:\d\d\.\d{3}.*\n<v .+>/);
      // The browser's own parser is the judge of whether it is valid.
      expect(await parsedCues(viewer, vtt)).toBe(blocks.length);
    }
  });

  test('can be heard in another language at once, over the same connection', async () => {
    const before = await wireOf(viewer);
    const took: number[] = [];
    for (const track of [...LANGUAGES.slice(1).map((language) => `dub:${language}`), 'original', 'dub:es']) {
      await viewer.keyboard.press('l');
      const languages = session.tracks.filter(({ id }) => id === 'original' || id.startsWith('dub:'));
      const position = languages.findIndex(({ id }) => id === track);
      await viewer.getByRole('radiogroup', { name: 'Listen in' }).getByRole('radio').nth(position).check();
      await viewer.waitForFunction(`window.livedub.heard === ${JSON.stringify(track)}`, undefined, { timeout: 10_000 });
      took.push((await hook('switchedInMs')) ?? Infinity);
      await viewer.keyboard.press('Escape');
    }
    log('switched in, ms', took);
    for (const ms of took) expect(ms).toBeLessThan(1_500);
    expect(opened(await wireOf(viewer))).toEqual(opened(before));
    const pictures = await hook('framesDecoded');
    await eventually(async () => (await hook('framesDecoded')) > pictures + 10, 'the picture goes on');
  });

  test('lets a viewer turn the original up under the dub', async () => {
    const quiet = await loudness();
    await viewer.keyboard.press('l');
    await viewer.getByRole('radio', { name: /^Voice-over/ }).check();
    await viewer.getByRole('slider', { name: /voice-over/ }).fill('-3');
    await viewer.keyboard.press('Escape');
    const since = (await hook('currentMedia')) ?? 0;
    const loud = await eventually(() => loudness(since + 500_000), 'a dub heard with the original', 40_000);
    log('power over power of the dub: at the ear without and with the original, and of the original', { quiet, loud });
    // 3 dB down it adds half its power; how much that is depends on how loud it is against the dub.
    expect(loud.heard / quiet!.heard).toBeGreaterThan(1 + 0.25 * loud.original);
    await viewer.keyboard.press('l');
    await viewer.getByRole('radio', { name: /^As mixed/ }).check();
    await viewer.keyboard.press('Escape');
  });

  test('shows somebody who joins late a picture soon', async () => {
    const page = await broadcast.browsers.open(`/watch/${session.id}`);
    const play = page.getByRole('button', { name: /play/i }).first();
    await play.waitFor();
    const asked = performance.now();
    await play.click();
    await page.waitForFunction('window.livedub.framesDecoded > 0', undefined, { timeout: 20_000, polling: 20 });
    const first = performance.now() - asked;
    await page.waitForFunction('window.livedub.audioLevel > 0.01', undefined, { timeout: 20_000 });
    log('late joiner, ms from a click on Play', { picture: Math.round(first) });
    await page.close();
    expect(first).toBeLessThan(4_000);
  });

  async function showCaptions(entry: string): Promise<void> {
    await viewer.getByRole('button', { name: /^Captions/ }).click();
    await viewer.getByRole('radiogroup', { name: 'Captions' }).getByRole('radio', { name: entry }).check();
    await viewer.keyboard.press('Escape');
  }

  /** Of the dubs since `from`: how much louder the viewer hears them than they are in their track, and the original. */
  async function loudness(from = 0): Promise<{ heard: number; original: number } | undefined> {
    const notes = await moments();
    const [tape, under] = [witness.tape('dub:es')!, witness.tape('original')!];
    const last = notes.findLast(({ media }) => !Number.isNaN(media))?.media ?? 0;
    const ratios = dubbed(session).flatMap(({ dub }) => {
      if (dub.start < Math.max(from, tape.origin) || dub.end > last) return [];
      const heard = powerAt(notes, dub.start, dub.end);
      const sent = rms(tape.pcm, (dub.start - tape.origin) / 1e6, (dub.end - dub.start) / 1e6) ** 2;
      const original = rms(under.pcm, (dub.start - under.origin) / 1e6, (dub.end - dub.start) / 1e6) ** 2;
      return heard === undefined ? [] : [{ heard: heard / sent, original: original / sent }];
    });
    const middle = (of: 'heard' | 'original') => spread(ratios.map((ratio) => ratio[of]))!.p50;
    return ratios.length >= 2 ? { heard: middle('heard'), original: middle('original') } : undefined;
  }
});

const opened = ({ sockets, peers, states }: Wire) => ({ sockets, peers, states });

/** The page says what is at the ear, and its meter looks back over 43 ms and sits before the loudspeaker's buffer: ms. */
const LAGS = [-60, -40, -20, 0, 20, 40, 60];
/** How alike the loudness in the page is to that of a tape `lag` ms earlier. */
const likeLoud = (moments: readonly Moment[], tape: Tape, lag: number) =>
  likeness(
    moments.map(({ level }) => level),
    moments.map(({ media }) => rms(tape.pcm, (media - tape.origin) / 1e6 - 0.043 - lag / 1_000, 0.043)),
  );

const wordsOf = (text: string) => text.toLowerCase().match(/\p{L}+/gu) ?? [];
/** The share of `said` that is among `heard`, each word once. */
function overlap(heard: readonly string[], said: readonly string[]): number {
  const left = [...heard];
  const found = said.filter((word) => {
    const i = left.indexOf(word);
    if (i >= 0) left.splice(i, 1);
    return i >= 0;
  });
  return found.length / Math.max(said.length, heard.length);
}

/** Root mean square of 48 kHz audio from `start` on, both in seconds. */
function rms(pcm: Float32Array, start: number, length: number): number {
  const part = pcm.subarray(Math.max(0, Math.round(start * 48_000)), Math.round((start + length) * 48_000));
  return Math.sqrt(part.reduce((sum, x) => sum + x * x, 0) / Math.max(1, part.length));
}

/** How many cues a browser finds in a WebVTT file. */
const parsedCues = (page: Page, vtt: string): Promise<number> =>
  page.evaluate<number>(`new Promise((done, failed) => {
    const track = document.createElement('track');
    track.src = URL.createObjectURL(new Blob([${JSON.stringify(vtt)}], { type: 'text/vtt' }));
    track.onload = () => done(track.track.cues.length);
    track.onerror = () => failed(new Error('no WebVTT'));
    const video = document.createElement('video');
    video.append(track);
    track.track.mode = 'hidden';
  })`);
