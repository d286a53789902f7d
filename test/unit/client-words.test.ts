import { describe, expect, test } from 'vitest';
import { languageName, ownName } from '../../client/language-name.ts';
import { lipsWords, modeWords } from '../../client/mode-words.ts';
import { preferencesOf } from '../../client/preferences.ts';
import { inboundOf, reception } from '../../client/reception.ts';
import { lengthWords, sizeWords } from '../../client/recording-words.ts';
import { routeOf } from '../../client/route.ts';
import { actionFor, SHORTCUTS } from '../../client/shortcuts.ts';
import { trackToHear, trackToSee } from '../../client/track-choice.ts';
import type { TrackView } from '../../gateway/protocol.ts';

const origin = 'https://dub.example';

test.for([
  ['/', '', { page: 'sessions' }],
  ['/watch/abc', '', { page: 'watch', id: 'abc' }],
  ['/watch/a%20b/', '', { page: 'watch', id: 'a b' }],
  ['/watch', '', { page: 'missing', path: '/watch' }],
  ['/watch/a/b', '', { page: 'missing', path: '/watch/a/b' }],
  ['/watch/%', '', { page: 'missing', path: '/watch/%' }],
  ['/elsewhere/x', '', { page: 'missing', path: '/elsewhere/x' }],
  ['/publish/abc', '', { page: 'publish', id: 'abc', autostart: null }],
  [
    '/publish/abc',
    '?autostart=file&src=/clips/a.webm?v=1',
    { page: 'publish', id: 'abc', autostart: '/clips/a.webm?v=1' },
  ],
  ['/publish/abc', '?autostart=file', { page: 'publish', id: 'abc', autostart: null }],
  ['/publish/abc', '?autostart=file&src=https://evil.example/a.webm', { page: 'publish', id: 'abc', autostart: null }],
  ['/publish/abc', '?autostart=file&src=//evil.example/a.webm', { page: 'publish', id: 'abc', autostart: null }],
] as const)('%s%s shows %j', ([path, query, route]) => {
  expect(routeOf(path, query, origin)).toEqual(route);
});

test('every mode is put in words, and everything that is missing is explained', () => {
  for (const audio of ['dubbed', 'original'] as const) {
    for (const video of ['driven', 'original', 'none'] as const) {
      for (const text of ['translated', 'transcribed', 'none'] as const) {
        for (const quality of ['full', 'reduced'] as const) {
          const words = modeWords({ audio, video, text, quality });
          const whole = audio === 'dubbed' && text !== 'none' && quality === 'full';
          expect(words.tone).toBe(whole ? 'good' : 'reduced');
          expect(words.explanation === null).toBe(whole);
          expect(words.badge).toMatch(audio === 'dubbed' ? /^dubbed/ : /^original voice/);
        }
      }
    }
  }
});

describe('the keyboard', () => {
  const press = (key: string, tag = 'body', type: string | null = null, modified = false) =>
    actionFor({ key, modified, target: { tag, type } });

  test('every shortcut in the list works, and capitals too', () => {
    for (const { keys, action } of SHORTCUTS)
      for (const key of keys) expect(press(key === 'space' ? ' ' : key)).toBe(action);
    expect(press('M')).toBe('mute');
  });

  test("the browser's own shortcuts and text being typed are left alone", () => {
    expect(press('f', 'body', null, true)).toBeNull();
    expect(press('m', 'input', 'text')).toBeNull();
    expect(press('c', 'select')).toBeNull();
    expect(press('m', 'input', 'range')).toBe('mute');
    expect(press(' ', 'button')).toBeNull();
    expect(press('x')).toBeNull();
  });
});

describe('the language heard at first', () => {
  const track = (id: TrackView['id'], language: string | null): TrackView => ({
    id,
    language,
    label: null,
    kind: language ? 'audio' : 'video',
    rtp: { base: 0, rate: 1 },
  });
  const tracks = [track('video', null), track('original', 'en'), track('dub:es', 'es'), track('dub:pt-BR', 'pt-BR')];

  test.for([
    [['fr', 'pt-PT', 'es'], 'dub:pt-BR'],
    [['es-MX'], 'dub:es'],
    [['de'], 'dub:es'],
    [['en-GB'], 'dub:es'],
    [[], 'dub:es'],
  ] as const)('somebody who reads %j hears %s', ([understood, id]) => {
    expect(trackToHear(tracks, understood)).toBe(id);
  });

  test('somebody who chose the original last time hears it again', () => {
    expect(trackToHear(tracks, ['en'], 'en')).toBe('original');
  });

  test('without a dub it is the original, and without sound nothing', () => {
    expect(trackToHear(tracks.slice(0, 2), ['es'])).toBe('original');
    expect(trackToHear(tracks.slice(0, 1), ['es'])).toBeNull();
  });
});

describe('the picture a viewer sees', () => {
  const track = (id: string) => ({ id }) as TrackView;
  const both = ['video', 'original', 'dub:es', 'voice:es', 'video:es', 'dub:pt-BR'].map(track);

  test.for([
    ['dub:es', 'video:es'],
    ['dub:pt-BR', 'video'],
    ['original', 'video'],
    [null, 'video'],
  ] as const)('with %s is %s', ([heard, id]) => {
    expect(trackToSee(both, heard)).toBe(id);
  });

  test('is the driven one even where the original’s is not there, and none where there is none', () => {
    expect(trackToSee([track('dub:es'), track('video:es')], 'dub:es')).toBe('video:es');
    expect(trackToSee([track('dub:es'), track('video:es')], 'original')).toBeNull();
    expect(trackToSee([track('dub:es')], 'dub:es')).toBeNull();
  });
});

describe('what became of the mouths', () => {
  const none = { takes: 0, pictures: 0, driven: 0, left: {}, seen: 0, skipped: 0, shown: {} };
  const lips = { ...none, process: { cpu: 0, rssMiB: 0, restarts: 0 } };

  test('is not said before there was a picture to drive', () => {
    expect(lipsWords(lips)).toBeNull();
  });
  test('is the share that was driven', () => {
    expect(lipsWords({ ...lips, pictures: 200, driven: 200 })).toBe('100 % of 200 pictures');
  });
  test('is why pictures were left alone, most first, and nothing of what nobody sees', () => {
    const left = { late: 0.04, profile: 1.25, nobody: 3, somethingNew: 0.5 };
    expect(lipsWords({ ...lips, pictures: 200, driven: 76, left })).toBe(
      '38 % of 200 pictures; left alone: speaker not in the picture 3 s · turned away 1.3 s · somethingNew 0.5 s',
    );
  });
  test('is in the badge: lips in sync only where the picture is driven and the voice dubbed', () => {
    const mode = { audio: 'dubbed', text: 'translated', quality: 'full' } as const;
    expect(modeWords({ ...mode, video: 'driven' }).badge).toBe('dubbed, lips in sync');
    expect(modeWords({ ...mode, video: 'original' }).badge).toBe('dubbed');
    expect(modeWords({ ...mode, quality: 'reduced', video: 'driven' }).badge).toBe(
      'dubbed, lips in sync, simpler engines',
    );
    expect(modeWords({ ...mode, audio: 'original', video: 'driven' }).badge).not.toContain('lips');
  });
});

test('languages are named, and a tag nobody knows stays a tag', () => {
  expect([languageName('es'), ownName('es'), ownName('ca')]).toEqual(['Spanish', 'Español', 'Català']);
  expect([languageName('not a tag'), ownName('not a tag')]).toEqual(['not a tag', 'Not a tag']);
});

test.for([
  [null, 'translated', 1],
  ['nonsense', 'translated', 1],
  [{ volume: 7, captions: 'sideways' }, 'translated', 1],
  [{ volume: 0.25, captions: 'both' }, 'both', 0.25],
] as const)('stored preferences %j give captions %s and volume %d', ([stored, captions, volume]) => {
  expect(preferencesOf(stored)).toMatchObject({ captions, volume });
});

test("a stream's figures leave out mediasoup's probe, and rates are per second", () => {
  const probe = { type: 'inbound-rtp', kind: 'video', mid: 'probator', timestamp: 0, framesDecoded: 0 };
  const row = {
    type: 'inbound-rtp',
    kind: 'video',
    mid: '1',
    timestamp: 2_000,
    bytesReceived: 250_000,
    framesDecoded: 60,
    packetsLost: 3,
    jitter: 0.004,
  };
  expect(inboundOf([probe, row], 'video')).toBe(row);
  expect(inboundOf([probe, row], 'audio')).toBeUndefined();
  expect(reception(row, { ...row, timestamp: 0, bytesReceived: 0, framesDecoded: 10 })).toMatchObject({
    kbps: 1000,
    fps: 25,
    lost: 3,
    jitterMs: 4,
  });
  expect(reception(row, undefined)).toMatchObject({ kbps: 0, fps: 0 });
});

test.for([
  [8.4, '8 s'],
  [59.4, '59 s'],
  [754, '13 min'],
  [3_912, '1 h 05 min'],
] as const)('a recording of %d seconds is %s long', ([seconds, words]) => {
  expect(lengthWords(seconds)).toBe(words);
});
test.for([
  [420_000, '420 kB'],
  [5_340_000, '5.3 MB'],
  [1.94e9, '1.9 GB'],
] as const)('%d bytes are %s', ([bytes, words]) => {
  expect(sizeWords(bytes)).toBe(words);
});
