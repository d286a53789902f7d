import { expect, test } from 'vitest';
import { ManualClock } from '../../media/clock.ts';
import type { Language } from '../../pipeline/domain.ts';
import { healthOf } from '../../pipeline/health.ts';
import { modeFor } from '../../pipeline/mode.ts';
import { Wiring } from '../../pipeline/wiring.ts';

test.for([
  [{}, 'original original none'],
  [{ vad: 'up', recognizer: 'up' }, 'original original transcribed'],
  [{ vad: 'up', recognizer: 'up', translator: 'up' }, 'original original translated'],
  [{ vad: 'up', recognizer: 'up', translator: 'up', synthesizer: 'up' }, 'dubbed original translated'],
  [{ vad: 'up', recognizer: 'up', translator: 'up', synthesizer: 'up', lipDriver: 'up' }, 'dubbed driven translated'],
  [{ vad: 'up', recognizer: 'up', translator: 'up', lipDriver: 'up' }, 'original original translated'],
  [{ vad: 'up', recognizer: 'up', translator: 'down', synthesizer: 'up' }, 'original original transcribed'],
  [{ recognizer: 'up', translator: 'up', synthesizer: 'up', lipDriver: 'up' }, 'original original none'],
] as const)('health %j gives %s', ([health, expected]) => {
  const mode = modeFor(health);
  expect(`${mode.audio} ${mode.video} ${mode.text}`).toBe(expected);
});

test('a kind is up when all of its stages are', () => {
  expect(healthOf([])).toEqual({});
  expect(
    healthOf([
      { kind: 'vad', health: 'up' },
      { kind: 'translator', health: 'up' },
      { kind: 'translator', health: 'down' },
      { kind: 'translator', health: 'up' },
    ]),
  ).toEqual({ vad: 'up', translator: 'down' });
  expect(
    healthOf([
      { kind: 'synthesizer', health: 'spare' },
      { kind: 'synthesizer', health: 'up' },
    ]),
  ).toEqual({ synthesizer: 'spare' });
});

test.for([
  [{ vad: 'up', recognizer: 'up', translator: 'up', synthesizer: 'up' }, 'dubbed full'],
  [{ vad: 'up', recognizer: 'spare', translator: 'up', synthesizer: 'up' }, 'dubbed reduced'],
  [{ vad: 'up', recognizer: 'up', translator: 'up', synthesizer: 'spare' }, 'dubbed reduced'],
  [{ vad: 'up', recognizer: 'up', translator: 'up', synthesizer: 'up', aligner: 'down' }, 'dubbed reduced'],
  [{ vad: 'up', recognizer: 'up', translator: 'up', synthesizer: 'up', enhancer: 'down' }, 'dubbed reduced'],
] as const)('health %j is shown as %s', ([health, expected]) => {
  const mode = modeFor(health);
  expect(`${mode.audio} ${mode.quality}`).toBe(expected);
});

test('a session is as well as its worst language; each language has its own mode', () => {
  const wiring = new Wiring(new ManualClock(), 'live');
  const [es, fr] = ['es' as Language, 'fr' as Language];
  const stage = (kind: 'vad' | 'recognizer' | 'translator' | 'synthesizer') => ({ kind, engine: 'scripted' });
  wiring.vital(stage('vad'));
  wiring.vital(stage('recognizer'));
  for (const language of [es, fr]) {
    wiring.vital(stage('translator'), language);
    wiring.vital(stage('synthesizer'), language).state = language === es ? 'up' : 'down';
  }
  const seen: Record<string, string> = {};
  wiring.mode$().subscribe(({ audio, text }) => (seen['all'] = `${audio} ${text}`));
  wiring.mode$(es).subscribe(({ audio, text }) => (seen['es'] = `${audio} ${text}`));
  wiring.mode$(fr).subscribe(({ audio, text }) => (seen['fr'] = `${audio} ${text}`));
  wiring.refresh();
  expect(seen).toEqual({ all: 'original translated', es: 'dubbed translated', fr: 'original translated' });
  wiring.forget(fr);
  expect(seen['all']).toBe('dubbed translated');
  expect(wiring.reports().map(({ name }) => name)).toEqual(['vad', 'recognizer', 'translator:es', 'synthesizer:es']);
});
