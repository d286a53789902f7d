import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { changeFindings, rhythmFindings } from '../../gateway/hls-check/change-rules.ts';
import { deliveryFindings } from '../../gateway/hls-check/delivery-rules.ts';
import { type Init, fragmentsOf, initOf } from '../../gateway/hls-check/fmp4-pieces.ts';
import {
  type Found,
  bitsOf,
  claimFindings,
  groupFindings,
  reportFindings,
} from '../../gateway/hls-check/group-rules.ts';
import { parsePlaylist } from '../../gateway/hls-check/m3u8-parser.ts';
import { type MediaPlaylist, type Multivariant, filled } from '../../gateway/hls-check/m3u8.ts';
import { type Piece, Trail, wholeFindings } from '../../gateway/hls-check/media-rules.ts';
import { multivariantFindings } from '../../gateway/hls-check/multivariant-rules.ts';
import { playlistFindings } from '../../gateway/hls-check/playlist-rules.ts';
import { punctualityOf } from '../../gateway/hls-check/punctuality.ts';
import { type Finding, RULES, type RuleId } from '../../gateway/hls-check/rules.ts';
import { vttFindings, vttOf } from '../../gateway/hls-check/vtt-rules.ts';
import { fragment, pictureInit, soundInit } from '../../media/fmp4.ts';

const covered = new Set<RuleId>();
/** The rules that findings are of, each once. */
const rulesOf = (findings: readonly Finding[]): RuleId[] => {
  const rules = [...new Set(findings.map(({ rule }) => rule))];
  for (const rule of rules) covered.add(rule);
  return rules;
};

const MULTIVARIANT = `#EXTM3U
#EXT-X-VERSION:9
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",NAME="Original",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=YES,CHANNELS="1",URI="original/index.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",NAME="español",LANGUAGE="es",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="1",URI="es/index.m3u8"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="captions",NAME="español",LANGUAGE="es",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,URI="c/index.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=900000,AVERAGE-BANDWIDTH=800000,CODECS="avc1.42C01E,mp4a.40.2",RESOLUTION=640x360,FRAME-RATE=25.000,AUDIO="sound",SUBTITLES="captions",CLOSED-CAPTIONS=NONE
video/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=500000,AVERAGE-BANDWIDTH=400000,CODECS="avc1.42C01E,mp4a.40.2",RESOLUTION=320x180,FRAME-RATE=25.000,AUDIO="sound",SUBTITLES="captions",CLOSED-CAPTIONS=NONE
small/index.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=90000,CODECS="avc1.42C01E",RESOLUTION=640x360,URI="keys.m3u8"
`;
const DATE = Date.UTC(2026, 0, 1);
const part = (number: number, n: number) =>
  `#EXT-X-PART:DURATION=0.5,URI="${number}.${n}.m4s"${n === 0 ? ',INDEPENDENT=YES' : ''}`;
/** Segments 10 to 14 of two seconds, and `open` parts of 15. */
function media(open: number, more: readonly string[] = []): string {
  const lines = [10, 11, 12, 13, 14, 15].flatMap((number) => [
    `#EXT-X-PROGRAM-DATE-TIME:${new Date(DATE + (number - 10) * 2_000).toISOString()}`,
    ...(number < 12 ? [] : [0, 1, 2, 3].slice(0, number === 15 ? open : 4).map((n) => part(number, n))),
    ...(number < 15 ? ['#EXTINF:2.0,', `${number}.m4s`] : []),
  ]);
  return `${[
    '#EXTM3U',
    '#EXT-X-VERSION:9',
    '#EXT-X-TARGETDURATION:2',
    '#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.5,HOLD-BACK=6,CAN-SKIP-UNTIL=12',
    '#EXT-X-PART-INF:PART-TARGET=0.5',
    '#EXT-X-MEDIA-SEQUENCE:10',
    '#EXT-X-DISCONTINUITY-SEQUENCE:3',
    '#EXT-X-MAP:URI="init.mp4"',
    ...lines,
    `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="15.${open}.m4s"`,
    '#EXT-X-RENDITION-REPORT:URI="../es/index.m3u8",LAST-MSN=15,LAST-PART=1',
    ...more,
  ].join('\n')}\n`;
}
const read = (text: string) => parsePlaylist(text) as MediaPlaylist;
const replaced = (text: string, from: string, to: string): string => {
  if (!text.includes(from)) throw new TypeError(`Cannot break: there is no ${from}`);
  return text.replace(from, to);
};
/** `from` is there no more where `to` is. */
type Break = readonly [rule: RuleId, from: string, to: string];

describe('a multivariant playlist', () => {
  const findings = (text: string) => rulesOf(multivariantFindings(parsePlaylist(text) as Multivariant));
  test('that keeps the rules has no findings', () => expect(findings(MULTIVARIANT)).toEqual([]));

  test.for<Break>([
    ['header', '#EXTM3U', '#EXTM4U'],
    ['encoding', '#EXTM3U', '\u{feff}#EXTM3U'],
    ['twice', '#EXT-X-VERSION:9', '#EXT-X-VERSION:9\n#EXT-X-VERSION:9'],
    ['attributes', 'NAME="Original",LANG', 'NAME="Original", LANG'],
    ['number', 'FRAME-RATE=25.000', 'FRAME-RATE=0x19'],
    ['bandwidth-missing', 'BANDWIDTH=900000,AVERAGE', 'AVERAGE'],
    ['average-missing', ',AVERAGE-BANDWIDTH=800000', ''],
    ['codecs-missing', ',CODECS="avc1.42C01E,mp4a.40.2"', ''],
    ['resolution-missing', ',RESOLUTION=640x360', ''],
    ['rate-missing', ',FRAME-RATE=25.000', ''],
    ['media-incomplete', 'NAME="Original",', ''],
    ['media-incomplete', ',URI="c/index.m3u8"', ''],
    ['group-missing', 'AUDIO="sound"', 'AUDIO="music"'],
    ['name-twice', 'NAME="Original"', 'NAME="español"'],
    ['default-twice', 'DEFAULT=NO', 'DEFAULT=YES'],
    ['default-hidden', 'DEFAULT=YES,AUTOSELECT=YES', 'DEFAULT=YES,AUTOSELECT=NO'],
    ['language-missing', ',LANGUAGE="en"', ''],
    ['language-bad', 'LANGUAGE="en"', 'LANGUAGE="english_us"'],
    ['channels-missing', ',CHANNELS="1"', ''],
    ['captions-mixed', ',CLOSED-CAPTIONS=NONE', ''],
    ['no-i-frames', '#EXT-X-I-FRAME-STREAM-INF', '#EXT-X-SOMETHING'],
    ['no-variant', 'video/index.m3u8\n', ''],
    [
      'one-rate',
      MULTIVARIANT.slice(MULTIVARIANT.indexOf('#EXT-X-STREAM-INF:BANDWIDTH=5'), MULTIVARIANT.indexOf('#EXT-X-I-')),
      '',
    ],
  ])('%s: %s → %s', ([rule, from, to]) => {
    const rules = findings(replaced(MULTIVARIANT, from, to));
    // What is not read is missing, too.
    const follows: Partial<Record<RuleId, readonly RuleId[]>> = {
      attributes: ['language-missing', 'channels-missing'],
      number: ['rate-missing'],
    };
    expect(rules.filter((one) => !follows[rule]?.includes(one))).toEqual([rule]);
  });

  test('groups are used, and have the same members', () => {
    const other = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="more",NAME="x",LANGUAGE="ca",CHANNELS="2",URI="ca.m3u8"\n';
    expect(findings(MULTIVARIANT + other)).toEqual(['group-unused', 'groups-differ']);
  });
});

describe('a media playlist', () => {
  const findings = (text: string) => rulesOf(playlistFindings(read(text), 'video'));
  test('that keeps the rules has no findings', () => expect(findings(media(2))).toEqual([]));

  test.for<Break>([
    ['extinf', '#EXTINF:2.0,\n10.m4s', '10.m4s'],
    ['version', '#EXT-X-VERSION:9', '#EXT-X-VERSION:3'],
    ['target-missing', '#EXT-X-TARGETDURATION:2\n', ''],
    ['segment-long', '#EXTINF:2.0,\n10.m4s', '#EXTINF:2.6,\n10.m4s'],
    ['part-target-missing', '#EXT-X-PART-INF:PART-TARGET=0.5\n', ''],
    ['part-long', 'DURATION=0.5,URI="15.1.m4s"', 'DURATION=0.6,URI="15.1.m4s"'],
    ['part-short', 'DURATION=0.5,URI="14.1.m4s"', 'DURATION=0.42,URI="14.1.m4s"'],
    ['parts-sum', 'DURATION=0.5,URI="14.3.m4s"', 'DURATION=0.4,URI="14.3.m4s"'],
    ['hold-back', 'HOLD-BACK=6', 'HOLD-BACK=5'],
    ['part-hold-back-missing', 'PART-HOLD-BACK=1.5,', ''],
    ['part-hold-back', 'PART-HOLD-BACK=1.5', 'PART-HOLD-BACK=1.2'],
    ['skip-until', 'CAN-SKIP-UNTIL=12', 'CAN-SKIP-UNTIL=10'],
    ['no-blocking', 'CAN-BLOCK-RELOAD=YES,', ''],
    ['hint-missing', '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="15.2.m4s"\n', ''],
    ['date-jump', '2026-01-01T00:00:04.000Z', '2026-01-01T00:00:04.100Z'],
  ])('%s: %s → %s', ([rule, from, to]) => {
    const rules = findings(replaced(media(2), from, to));
    const also: Partial<Record<RuleId, readonly RuleId[]>> = {
      'segment-long': ['date-jump'],
      extinf: ['date-jump'],
      'part-short': ['parts-sum'],
    };
    expect(rules.filter((one) => !also[rule]?.includes(one))).toEqual([rule]);
  });

  test('a live one is dated, a finished one has a type and no hint, and discontinuities are counted', () => {
    expect(findings(media(2).replaceAll(/#EXT-X-PROGRAM.*\n/gu, ''))).toEqual(['date-missing']);
    expect(findings(media(2, ['#EXT-X-ENDLIST']))).toEqual(['hint-at-end']);
    const whole = media(0, ['#EXT-X-ENDLIST']).replaceAll(/#EXT-X-(PRELOAD|PART|MEDIA-SEQ|RENDITION|SERVER).*\n/gu, '');
    expect(findings(whole)).toEqual(['no-type']);
    const broken = replaced(media(2), '#EXT-X-DISCONTINUITY-SEQUENCE:3\n', '').replace(
      '#EXTINF',
      '#EXT-X-DISCONTINUITY\n#EXTINF',
    );
    expect(findings(broken)).toEqual(['era-missing']);
  });

  test('parts are listed for three target durations, and long windows offer deltas', () => {
    expect(findings(media(2).replaceAll(/#EXT-X-PART:.*"13\.\d.*\n/gu, ''))).toEqual(['parts-removed']);
    const long = Array.from({ length: 70 }, (_, n) => `#EXTINF:2.0,\n${n}.m4s\n`).join('');
    const many = media(2)
      .replace(/#EXT-X-MAP.*\n/u, (map) => map + long)
      .replaceAll(/#EXT-X-PROGRAM.*\n/gu, '');
    expect(findings(many.replace(',CAN-SKIP-UNTIL=12', ''))).toEqual(['no-delta', 'date-missing']);
  });
});

describe('a playlist that becomes another', () => {
  const findings = (after: string, before = media(2)) => rulesOf(changeFindings(read(before), read(after), 'video'));
  test('by growing has no findings, nor has one whose first segment left', () => {
    expect(findings(media(3))).toEqual([]);
    const rolled = media(3)
      .replace('SEQUENCE:10', 'SEQUENCE:11')
      .replace(/#EXT-X-PROGRAM.*\n#EXTINF.*\n10\.m4s\n/u, '');
    expect(findings(rolled)).toEqual([]);
  });

  test.for<Break>([
    ['sequence-back', 'MEDIA-SEQUENCE:10', 'MEDIA-SEQUENCE:9'],
    ['segment-changed', '\n10.m4s', '\nten.m4s'],
    ['segment-changed', '#EXTINF:2.0,\n10', '#EXTINF:1.9,\n10'],
    ['segment-changed', 'URI="init.mp4"', 'URI="other.mp4"'],
    ['segment-changed', '00:00:02.000Z', '00:00:02.010Z'],
    ['part-changed', 'URI="15.1.m4s"', 'URI="15.one.m4s"'],
    ['part-changed', 'DURATION=0.5,URI="15.1.m4s"', 'DURATION=0.45,URI="15.1.m4s"'],
    ['target-changed', 'TARGETDURATION:2', 'TARGETDURATION:3'],
    ['target-changed', 'PART-TARGET=0.5', 'PART-TARGET=0.6'],
    ['era-wrong', 'DISCONTINUITY-SEQUENCE:3', 'DISCONTINUITY-SEQUENCE:4'],
    ['hint-broken', 'URI="15.2.m4s"', 'URI="15.two.m4s"'],
  ])('%s: %s → %s', ([rule, from, to]) => expect(findings(replaced(media(3), from, to))).toEqual([rule]));

  test('an end is the end, the middle stays, and three target durations are kept', () => {
    expect(findings(media(3), media(2, ['#EXT-X-ENDLIST']))).toEqual(['after-end']);
    const short = media(3).slice(0, media(3).indexOf('#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:10'));
    expect(findings(short)).toEqual(['segment-vanished']);
    const two = media(3)
      .replace('SEQUENCE:10', 'SEQUENCE:13')
      .replace(/#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00[^]*12\.m4s\n/u, '');
    expect(findings(two)).toEqual(['window-short']);
  });

  test('a segment comes every one and a half target durations', () => {
    const at = (when: number, text: string) => ({ at: when, playlist: read(text) });
    const next = media(3).replace('#EXT-X-PRELOAD-HINT', '#EXTINF:1.5,\n15.m4s\n#EXT-X-PRELOAD-HINT');
    const versions = (when: number) => [at(0, media(2)), at(when, next)];
    expect(rhythmFindings(versions(3_000), 5_000, 'video')).toEqual([]);
    expect(rulesOf(rhythmFindings(versions(3_600), 5_000, 'video'))).toEqual(['update-late']);
    expect(rulesOf(rhythmFindings(versions(3_000), 6_600, 'video'))).toEqual(['update-late']);
  });

  test('a delta update is filled with what was known, and not with what was not', () => {
    const delta = media(3).replace(
      /#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00[^]*11\.m4s\n/u,
      '#EXT-X-SKIP:SKIPPED-SEGMENTS=2\n',
    );
    expect(
      filled(read(delta), read(media(2)))?.segments.map(({ number, uri, map, era }) => [number, uri, map, era]),
    ).toEqual(read(media(3)).segments.map(({ number, uri, map, era }) => [number, uri, map, era]));
    expect(filled(read(delta.replace('SEQUENCE:10', 'SEQUENCE:8')), read(media(2)))).toBeUndefined();
  });
});

const SPS = Uint8Array.of(0x67, 0x42, 0xc0, 0x1e, 1);
const FORMAT = { width: 640, height: 360, sps: [SPS], pps: [Uint8Array.of(0x68, 1, 2)] };
const PICTURES = pictureInit(FORMAT);
const SOUND = soundInit(1);
const nal = (type: number) => Uint8Array.of(0, 0, 0, 3, type, 1, 2);
/** Half a second of pictures, the first a key frame or said to be one. */
const pictures = (
  start: number,
  { key = true, sync = key, count = 12 }: { key?: boolean; sync?: boolean; count?: number } = {},
) =>
  fragment(
    1,
    Math.round(start * 90_000),
    Array.from({ length: count }, (_, n) => ({
      duration: 3_750,
      sync: n === 0 && sync,
      data: nal(n === 0 && key ? 0x65 : 0x41),
    })),
  );
const piece = (n: number, more: Partial<Piece> = {}): Piece => ({
  ...{ name: `15.${n}.m4s`, number: 15, part: n, duration: 0.5, independent: n === 0, discontinuity: false, era: 3 },
  ...{ date: DATE + n * 500, body: pictures(100 + n / 2, { key: n === 0 }) },
  ...more,
});

describe('media', () => {
  const setting = { init: initOf(PICTURES), independent: true };
  const findings = (...pieces: Piece[]) => {
    const trail = new Trail('video');
    return rulesOf(pieces.flatMap((one) => trail.push(one, setting)));
  };
  test('that are what their playlist says have no findings', () => {
    expect(findings(piece(0), piece(1), piece(2))).toEqual([]);
    expect(initOf(PICTURES).tracks).toMatchObject([{ kind: 'video', codec: 'avc3.42c01e', size: { width: 640 } }]);
    expect(initOf(SOUND).tracks).toMatchObject([{ kind: 'audio', codec: 'mp4a.40.2', channels: 1 }]);
  });

  test.for<readonly [RuleId, Piece]>([
    ['time-gap', piece(1, { body: pictures(100.51, { key: false }) })],
    ['length-untrue', piece(1, { duration: 0.4 })],
    ['independent-untrue', piece(1, { independent: true })],
    ['independent-untrue', piece(1, { independent: true, body: pictures(100.5, { key: false, sync: true }) })],
    ['independent-missing', piece(1, { body: pictures(100.5) })],
    ['dates-apart', piece(1, { date: DATE + 600 })],
    ['piece-broken', piece(1, { body: pictures(100.5).subarray(0, 90) })],
    ['piece-broken', piece(1, { body: new TextEncoder().encode('<html>') })],
  ])('%s', ([rule, broken]) => expect(findings(piece(0), broken)).toEqual([rule]));

  test('a segment begins with a key frame, and a piece holds something', () => {
    expect(findings(piece(0, { independent: false, body: pictures(100, { key: false }) }))).toEqual(['key-missing']);
    expect(findings(piece(0, { body: pictures(100, { count: 0 }), duration: 0 }))).toEqual(['piece-empty']);
  });

  test('nothing need follow a discontinuity, nor a piece that was not had', () => {
    const far = pictures(500);
    expect(findings(piece(0), piece(0, { number: 16, discontinuity: true, era: 4, body: far }))).toEqual([]);
    expect(findings(piece(0), piece(2, { body: pictures(101, { key: false }) }))).toEqual([]);
  });

  test('a segment is its parts together', () => {
    const parts = [pictures(100), pictures(100.5, { key: false })];
    const whole = Buffer.concat(parts);
    expect(wholeFindings('15', whole, parts, setting.init, 'video')).toEqual([]);
    expect(rulesOf(wholeFindings('15', pictures(100), parts, setting.init, 'video'))).toEqual(['parts-unlike']);
  });

  test('whatever bytes come, reading them ends with an answer or a RangeError', () => {
    const good = [PICTURES, pictures(1)];
    const damaged = fc.tuple(
      fc.constantFrom(...good),
      fc.array(fc.tuple(fc.nat(4_000), fc.nat(255)), { maxLength: 8 }),
    );
    const init: Init = initOf(PICTURES);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 300 }),
          damaged.map(([bytes, changes]) => {
            const copy = bytes.slice();
            for (const [at, value] of changes) copy[at % copy.length] = value;
            return copy;
          }),
        ),
        (bytes) => {
          for (const look of [() => initOf(bytes), () => fragmentsOf(bytes, init)]) {
            try {
              look();
            } catch (failure) {
              if (!(failure instanceof RangeError)) throw failure;
            }
          }
        },
      ),
      { endOnFailure: true },
    );
  });
});

describe('captions', () => {
  const VTT =
    'WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000\n\nu1\n00:00:01.000 --> 00:00:03.500 line:-1\nHola\n';
  const findings = (text: string) => rulesOf(vttFindings('1.vtt', vttOf(text), { start: 12, end: 14 }, 'captions'));
  test('that are seen in their segment have no findings', () => {
    expect(findings(VTT)).toEqual([]);
    expect(vttOf(VTT).cues).toEqual([{ id: 'u1', start: 11, end: 13.5, text: 'Hola' }]);
    expect(findings(VTT.slice(0, VTT.indexOf('u1')))).toEqual([]);
  });
  test.for<Break>([
    ['vtt-header', 'WEBVTT', 'WEBVVT'],
    ['vtt-map', 'X-TIMESTAMP-MAP', 'X-TIMESTAMPS'],
    ['vtt-cue', '00:00:03.500', '00:00:00.500'],
    ['vtt-outside', '00:00:03.500', '00:00:01.500'],
  ])('%s', ([rule, from, to]) => {
    const rules = findings(replaced(VTT, from, to));
    expect(rules.filter((one) => rule !== 'vtt-map' || one !== 'vtt-outside')).toEqual([rule]);
  });
});

describe('renditions beside each other', () => {
  const found = (text: string, more: Partial<Found> = {}): Found => ({
    ...{ at: 'es', url: 'http://x/es/index.m3u8', playlist: read(text), captions: false },
    ...{ offsets: new Map([[3, 1_000]]), inits: [], rate: undefined, bits: undefined },
    ...more,
  });
  const findings = (text: string, more: Partial<Found> = {}) =>
    rulesOf(groupFindings([found(media(2), { at: 'video' }), found(text, more)]));
  test('that agree have no findings', () => expect(findings(media(3))).toEqual([]));
  test('that differ have', () => {
    expect(findings(replaced(media(2), 'TARGETDURATION:2', 'TARGETDURATION:3'))).toEqual(['targets-differ']);
    expect(findings(replaced(media(2), 'DISCONTINUITY-SEQUENCE:3', 'DISCONTINUITY-SEQUENCE:4'))).toEqual([
      'eras-differ',
    ]);
    expect(findings(media(2), { offsets: new Map([[3, 1_000.05]]) })).toEqual(['dates-apart']);
    const half = media(2)
      .replace('SEQUENCE:10', 'SEQUENCE:13')
      .replace(/#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00[^]*12\.m4s\n/u, '');
    expect(findings(half)).toEqual(['windows-differ', 'few-segments']);
  });
  test('report each other, as new as they are', () => {
    const url = 'http://x/video/index.m3u8';
    const known = (part: number) => new Map([['http://x/es/index.m3u8', { number: 15, part }]]);
    expect(reportFindings(read(media(2)), url, known(1), 'video')).toEqual([]);
    expect(rulesOf(reportFindings(read(media(2)), url, known(2), 'video'))).toEqual(['report-old']);
    expect(rulesOf(reportFindings(read(media(2).replace(/#EXT-X-REND.*\n/u, '')), url, known(1), 'video'))).toEqual([
      'report-missing',
    ]);
  });

  const [variant] = (parsePlaylist(MULTIVARIANT) as Multivariant).variants;
  const [sound] = (parsePlaylist(MULTIVARIANT) as Multivariant).media;
  const video = (more: Partial<Found> = {}) =>
    found(media(2), { inits: [initOf(PICTURES)], rate: 25, bits: { peak: 800_000, average: 700_000 }, ...more });
  const audio = (more: Partial<Found> = {}) =>
    [[sound, found(media(2), { inits: [initOf(SOUND)], bits: { peak: 90_000, average: 90_000 }, ...more })]] as const;
  test('are what variants claim', () => expect(claimFindings(variant!, video(), audio(), true)).toEqual([]));
  test.for<readonly [RuleId, Found, ReturnType<typeof audio>]>([
    [
      'codecs-untrue',
      video({ inits: [initOf(pictureInit({ ...FORMAT, sps: [Uint8Array.of(0x67, 0x64, 0, 0x1f, 1)] }))] }),
      audio(),
    ],
    ['size-untrue', video({ inits: [initOf(pictureInit({ ...FORMAT, width: 320 }))] }), audio()],
    ['rate-untrue', video({ rate: 30 }), audio()],
    ['channels-untrue', video(), audio({ inits: [initOf(soundInit(2))] })],
    ['bandwidth-low', video({ bits: { peak: 950_000, average: 700_000 } }), audio()],
    ['average-low', video({ bits: { peak: 800_000, average: 810_000 } }), audio()],
  ])('or %s', ([rule, pictures, sounds]) =>
    expect(rulesOf(claimFindings(variant!, pictures, sounds, true))).toEqual([rule]),
  );
  test('or independent-tag', () =>
    expect(rulesOf(claimFindings(variant!, video(), audio(), false))).toEqual(['independent-tag']));

  test('a peak is over half to one and a half target durations', () => {
    const segments = [250_000, 500_000, 250_000].map((bytes) => ({ bytes, seconds: 2 }));
    expect(bitsOf(segments, 2)).toEqual({ peak: 2_000_000, average: 8_000_000 / 6 });
    expect(bitsOf([{ bytes: 100_000, seconds: 0.1 }, ...segments], 2)?.peak).toBe(2_000_000);
  });
});

describe('delivery', () => {
  const PLAYLIST = {
    'content-type': 'application/vnd.apple.mpegurl',
    'content-encoding': 'gzip',
    'cache-control': 'public, max-age=1',
    'access-control-allow-origin': '*',
  };
  const MEDIA = {
    'content-type': 'video/mp4',
    'cache-control': 'public, max-age=31536000, immutable',
    'access-control-allow-origin': '*',
  };
  const findings = (headers: Readonly<Record<string, string>>, what: 'playlist' | 'media', redirected = false) =>
    rulesOf(
      deliveryFindings(
        { name: 'index', status: 200, redirected, header: (name) => headers[name] ?? null },
        { what, live: true, fresh: 2 },
        'video',
      ),
    );
  test('that keeps the rules has no findings', () => {
    expect(findings(PLAYLIST, 'playlist')).toEqual([]);
    expect(findings(MEDIA, 'media')).toEqual([]);
  });
  test.for<readonly [RuleId, 'playlist' | 'media', Readonly<Record<string, string>>]>([
    ['playlist-type', 'playlist', { ...PLAYLIST, 'content-type': 'text/plain' }],
    ['no-gzip', 'playlist', { ...PLAYLIST, 'content-encoding': '' }],
    ['cache-stale', 'playlist', { ...PLAYLIST, 'cache-control': 'max-age=60' }],
    ['media-type', 'media', { ...MEDIA, 'content-type': 'text/plain' }],
    ['cache-none', 'media', { ...MEDIA, 'cache-control': 'no-store' }],
  ])('or %s', ([rule, what, headers]) => expect(findings(headers, what)).toEqual([rule]));
  test('or redirects, or keeps pages of other origins out', () => {
    expect(findings(MEDIA, 'media', true)).toEqual(['redirect']);
    const { 'access-control-allow-origin': _, ...closed } = MEDIA;
    expect(findings(closed, 'media')).toEqual(['no-cors']);
  });
});

describe('parts on time', () => {
  const arrivals = (late: readonly number[]) =>
    late.map((ms, n) => ({ start: n * 500, end: n * 500 + 500, at: 10_000 + n * 500 + ms }));
  test('are so by one schedule: delay that grows is lateness', () => {
    const even = punctualityOf(arrivals([0, 10, 0, 5, 0]), 500, 1_500);
    expect(even).toMatchObject({ parts: 5, onTime: 5, starved: 0, longest: 510 });
    expect(punctualityOf(arrivals([0, 0, 0, 501, 0]), 500, 1_500)).toMatchObject({ onTime: 4, starved: 0 });
    const growing = punctualityOf(arrivals(Array.from({ length: 41 }, (_, n) => n * 50)), 500, 1_500);
    expect(growing?.onTime).toBe(31);
  });
  test('a player at the hold-back runs dry when a part comes later than that', () => {
    expect(punctualityOf(arrivals([0, 0, 999, 0, 0]), 500, 1_500)?.starved).toBe(0);
    expect(punctualityOf(arrivals([0, 0, 1_001, 0, 0]), 500, 1_500)?.starved).toBe(1);
  });
});

test('every rule has a test, but for those that need a server', () => {
  const asked: readonly RuleId[] = [
    'answer-early',
    'answer-status',
    'delta-wrong',
    'delta-ignored',
    'far-ahead',
    'starved',
    'map-missing',
    'init-broken',
    'media-changed',
    'gone-early',
    'missing-not-404',
  ];
  const missing = (Object.keys(RULES) as RuleId[]).filter((rule) => !covered.has(rule) && !asked.includes(rule));
  expect(missing).toEqual([]);
});
