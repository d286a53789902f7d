import { describe, expect, test } from 'vitest';
import { Refusal } from '../../gateway/refusal.ts';
import { OFFERS, TRANSPORT, attributes, offered, parts, published } from '../fakes/offers.ts';
import { readOffer } from '../../gateway/whip/offer.ts';
import { type AnsweredTrack, writeAnswer } from '../../gateway/whip/answer.ts';

/** What every answer must be, whatever was offered. */
function expectRight(offer: string, answer: string, direction: 'recvonly' | 'sendonly'): void {
  const [asked, said] = [parts(offer), parts(answer)];
  // RFC 8866 §5 and §9: the order of lines, CRLF, no line empty.
  expect(answer).toMatch(/^v=0\r\no=- \d+ \d+ IN IP4 [\d.]+\r\ns=-\r\nt=0 0\r\na=/);
  expect(answer.endsWith('\r\n')).toBe(true);
  expect(answer.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
  for (const line of answer.trimEnd().split('\r\n')) expect(line).toMatch(/^[a-z]=\S(?:.*\S)?$/);
  // RFC 8445 §2.5: the gateway never looks for its peer, and says so once.
  expect(attributes(said.head, 'ice-lite')).toHaveLength(1);
  // RFC 3264 §6: one m-line for each, of the same kind, in the same order.
  expect(said.parts.map(({ media, protocol }) => [media, protocol])).toEqual(
    asked.parts.map(({ media, protocol }) => [media, protocol]),
  );
  const accepted: string[] = [];
  for (const [i, { media, port, formats, lines }] of said.parts.entries()) {
    const theirs = asked.parts[i]!;
    // RFC 8829 §5.3.1: the offer's mid.
    expect(attributes(lines, 'mid')).toEqual(attributes(theirs.lines, 'mid'));
    const directions = ['sendrecv', 'sendonly', 'recvonly', 'inactive'].filter((name) => lines.includes(`a=${name}`));
    if (port === 0) {
      expect(directions).toEqual(['inactive']);
      expect(formats.length).toBeGreaterThan(0);
      continue;
    }
    accepted.push(...attributes(lines, 'mid'));
    expect(['audio', 'video']).toContain(media);
    expect(lines[0]).toMatch(/^c=IN IP[46] /);
    expect(port).toBe(9);
    expect(directions).toEqual([direction]);
    // RFC 5761 §5.1.3, RFC 5506.
    expect(attributes(lines, 'rtcp-mux')).toHaveLength(1);
    expect(attributes(lines, 'rtcp-rsize')).toEqual(attributes(theirs.lines, 'rtcp-rsize'));
    expect(attributes(lines, 'bundle-only')).toEqual([]);
    // RFC 5763 §5, RFC 9725 §4.4.3: the gateway is passive unless the client insists.
    const setup = [...attributes(theirs.lines, 'setup'), ...attributes(asked.head, 'setup')][0];
    expect(attributes(lines, 'setup')).toEqual([setup === 'passive' ? 'active' : 'passive']);
    expect(attributes(lines, 'fingerprint')).toHaveLength(1);
    expect(attributes(lines, 'fingerprint')[0]).toMatch(/^sha-256 [\dA-F]{2}(:[\dA-F]{2}){31}$/);
    expect(attributes(lines, 'ice-ufrag')).toEqual([TRANSPORT.iceParameters.usernameFragment]);
    expect(attributes(lines, 'ice-pwd')).toEqual([TRANSPORT.iceParameters.password]);
    // RFC 8839 §5.1, RFC 6544 §4.5.
    expect(attributes(lines, 'candidate')).toEqual([
      'udpcandidate 1 udp 1076302079 127.0.0.1 40001 typ host',
      'tcpcandidate 1 tcp 1076276479 127.0.0.1 40002 typ host tcptype passive',
      'udpcandidate 1 udp 1076302000 2001:db8::1 40003 typ host',
    ]);
    expect(attributes(lines, 'end-of-candidates')).toHaveLength(1);
    // RFC 3264 §6.1: formats of the offer, with the offer's numbers and meanings; a codec, and what sends it again.
    const codecs = attributes(lines, 'rtpmap');
    expect(codecs.map((each) => each.split(' ')[0])).toEqual(formats);
    for (const each of codecs) expect(attributes(theirs.lines, 'rtpmap')).toContain(each);
    const names = codecs.map((each) => each.split(/[ /]/)[1]!.toLowerCase());
    expect(names[0]).toMatch(media === 'audio' ? /^opus$/ : /^(vp8|vp9|h264|av1)$/);
    expect(names.slice(1).every((name) => name === 'rtx')).toBe(true);
    if (names[1]) expect(attributes(lines, 'fmtp')).toContain(`${formats[1]} apt=${formats[0]}`);
    // RFC 4585 §4.2: no feedback that was not offered, and none for formats that are not answered.
    for (const each of attributes(lines, 'rtcp-fb')) {
      expect(attributes(theirs.lines, 'rtcp-fb')).toContain(each);
      expect(formats).toContain(each.split(' ')[0]);
    }
    // RFC 8285 §6: only what was offered, with the same numbers.
    const maps = (all: readonly string[]) =>
      attributes(all, 'extmap').map((each) =>
        each
          .replace(/^(\d+)\/\w+/, '$1')
          .split(' ')
          .slice(0, 2)
          .join(' '),
      );
    for (const each of maps(lines)) expect(maps(theirs.lines)).toContain(each);
    // RFC 6184 §8.2.2, RFC 7587 §7: what one says of one's own stream is not said back.
    expect(attributes(lines, 'fmtp').join()).not.toContain('sprop');
    // RFC 8853 §5.3.2: one layer, of those that were offered.
    const rids = attributes(lines, 'rid').map((each) => each.split(' '));
    expect(rids.length).toBeLessThan(2);
    for (const [name, way] of rids) {
      expect(way).toBe('recv');
      expect(attributes(theirs.lines, 'rid').some((each) => each.startsWith(`${name} send`))).toBe(true);
    }
  }
  expect(accepted.length).toBeGreaterThan(0);
  // RFC 9143 §7.3, RFC 9725 §4.4.1: one bundle with all that is accepted and nothing else, in the offer's order.
  const group = attributes(asked.head, 'group').find((each) => each.startsWith('BUNDLE'));
  const order = (group ?? '').split(' ').filter((mid) => accepted.includes(mid));
  expect(attributes(said.head, 'group')).toEqual(group ? [`BUNDLE ${order.join(' ')}`] : []);
  if (group) expect(order).toHaveLength(accepted.length);
}

/** What is answered to each m-line, and what mediasoup is told to wait for. */
const EXPECTED: Record<string, string | readonly (string | 0)[]> = {
  'aiortc-publish': ['opus 96', 'VP8 97+98'],
  'aiortc-publish-data': ['opus 96', 'VP8 97+98', 0],
  'aiortc-watch': 'The offer sends nothing',
  'chromium-data-only': 'no sound and no picture',
  'chromium-publish': ['opus 111', 'VP8 96+97'],
  'chromium-publish-audio': ['opus 111'],
  'chromium-publish-av1': ['opus 111', 'AV1 45'],
  'chromium-publish-data': ['opus 111', 'VP8 96+97', 0],
  'chromium-publish-gathered': ['opus 111', 'VP8 96+97'],
  'chromium-publish-h264': ['opus 111', 'H264 108'],
  'chromium-publish-h264-rtx': ['H264 108+109'],
  'chromium-publish-inactive': ['opus 111', 0],
  'chromium-publish-max-compat': ['opus 111', 'VP8 96+97'],
  'chromium-publish-sendrecv': ['opus 111', 'VP8 96+97'],
  'chromium-publish-simulcast': ['opus 111', 'VP8 96+97'],
  'chromium-publish-two-videos': ['opus 111', 'VP8 96+97', 0, 0],
  'chromium-publish-video': ['VP8 96+97'],
  'chromium-publish-vp9': ['opus 111', 'VP9 98'],
  'chromium-watch': 'The offer sends nothing',
  'ffmpeg-8': ['opus 111', 'H264 106'],
  'ffmpeg-8-high': ['opus 111', 0],
  'ffmpeg-8-video': ['H264 106'],
  'firefox-max-bundle': ['opus 109', 'VP8 120+124'],
  'gstreamer-publish-h264': ['OPUS 97', 'H264 96'],
  'gstreamer-publish-no-bundle': 'BUNDLE',
  'gstreamer-publish-vp8': ['OPUS 97', 'VP8 96'],
  'obs-30': ['opus 111', 'H264 96'],
  'obs-31-av1': ['opus 111', 'AV1 96'],
  'obs-31-hevc': ['opus 111', 0],
  'obs-32-simulcast': ['opus 111', 'H264 96'],
};

test('every offer there is has its answer here', () => {
  expect(Object.keys(EXPECTED).sort()).toEqual(Object.keys(OFFERS).sort());
});

describe.for(Object.entries(OFFERS))('a publisher, %s', ([name, offer]) => {
  const expected = EXPECTED[name]!;
  test(typeof expected === 'string' ? 'is refused, with the reason' : `gets ${expected.join(', ')}`, async () => {
    if (typeof expected === 'string') {
      const refused = await published(offer).catch((thrown: unknown) => thrown);
      expect(refused).toBeInstanceOf(Refusal);
      expect((refused as Refusal).message).toContain(expected);
      expect((refused as Refusal).error.fix).toMatch(/^(Offer|Send) /);
      return;
    }
    const { answer, taken } = await published(offer);
    expectRight(offer, answer, 'recvonly');
    const said = parts(answer).parts.map(({ port, lines }) => {
      const names = attributes(lines, 'rtpmap').map((each) => each.split(/[ /]/));
      return port === 0 ? 0 : `${names[0]![1]} ${names.map(([payloadType]) => payloadType).join('+')}`;
    });
    expect(said).toEqual(expected);
    expect(
      taken.map(
        ({ rtpParameters: { codecs } }) =>
          `${codecs[0]!.mimeType.split('/')[1]} ${codecs.map((each) => each.payloadType).join('+')}`,
      ),
    ).toEqual(expected.filter(Boolean));
    for (const { rtpParameters } of taken) {
      const [encoding] = rtpParameters.encodings!;
      const { lines } = parts(offer).parts.find((part) => attributes(part.lines, 'mid')[0] === rtpParameters.mid)!;
      const ssrcs = new Set(attributes(lines, 'ssrc').map((each) => Number(each.split(' ')[0])));
      if (encoding!.ssrc === undefined) expect(ssrcs.size).toBe(0);
      else expect(ssrcs).toContain(encoding!.ssrc);
      expect(rtpParameters.encodings).toHaveLength(1);
    }
  });
});

test('of a simulcast the best layer is taken and the others are turned down', async () => {
  const chromium = await published(offered('chromium-publish-simulcast'));
  expect(chromium.taken[1]!.rtpParameters.encodings).toEqual([{ rid: 'f' }]);
  const [, video] = parts(chromium.answer).parts;
  expect(attributes(video!.lines, 'rid')).toEqual(['f recv']);
  expect(attributes(video!.lines, 'simulcast')).toEqual(['recv f']);
  expect(attributes(video!.lines, 'extmap').join()).toContain('sdes:rtp-stream-id');
  const obs = await published(offered('obs-32-simulcast'));
  expect(obs.taken[1]!.rtpParameters.encodings).toEqual([{ rid: '0' }]);
});

test('a client that is passive is called by the gateway', async () => {
  expect(readOffer(offered('ffmpeg-8')).dtls.role).toBe('server');
  expect(readOffer(offered('obs-30')).dtls.role).toBe('client');
});

test('Baseline without its flags, as FFmpeg writes it, is answered as it stands and taken as constrained', async () => {
  const { answer, taken } = await published(offered('ffmpeg-8'));
  expect(answer).toContain('a=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f\r\n');
  expect(taken[1]!.rtpParameters.codecs[0]!.parameters).toMatchObject({ 'profile-level-id': '42e01f' });
});

describe.for(['chromium-watch', 'aiortc-watch'])('a viewer, %s', (name) => {
  test('is sent one stream in each section, that it can tell', () => {
    const offer = readOffer(offered(name));
    const answers = offer.tracks.map((track, i): AnsweredTrack => {
      const codec = track!.codecs.find(({ mimeType }) => /opus|VP8/i.test(mimeType))!;
      const source = { ssrc: 1_000 + i, cname: 'c', stream: 'livedub' };
      return { direction: 'sendonly', codecs: [{ ...codec, answered: codec.feedback }], extensions: [], source };
    });
    const answer = writeAnswer(offer, answers, TRANSPORT, '1');
    expectRight(offered(name), answer, 'sendonly');
    for (const [i, { media, lines }] of parts(answer).parts.entries()) {
      // RFC 8830 §2, RFC 5576 §6.1.
      expect(attributes(lines, 'msid')).toEqual([`livedub ${media}`]);
      expect(attributes(lines, 'ssrc')).toEqual([`${1_000 + i} cname:c`, `${1_000 + i} msid:livedub ${media}`]);
    }
  });
});

test('what is turned down has port 0 and is in no bundle, even the first', () => {
  const offer = readOffer(offered('chromium-publish-data'));
  const codec = offer.tracks[1]!.codecs[0]!;
  const answer = writeAnswer(
    offer,
    [undefined, { direction: 'recvonly', codecs: [{ ...codec, answered: [] }], extensions: [] }, undefined],
    TRANSPORT,
    '1',
  );
  expectRight(offered('chromium-publish-data'), answer, 'recvonly');
  expect(attributes(parts(answer).head, 'group')).toEqual(['BUNDLE 1']);
});
