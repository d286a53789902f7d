import { describe, expect, test } from 'vitest';
import { Refusal } from '../../gateway/refusal.ts';
import { readOffer } from '../../gateway/whip/offer.ts';
import { attributes, offered, parts, published } from '../fakes/offers.ts';

const CHROMIUM = offered('chromium-publish');
const H264 = offered('chromium-publish-h264-rtx');
/** Swaps text that must be there. */
function changed(text: string, ...pairs: readonly (readonly [string | RegExp, string])[]): string {
  return pairs.reduce((each, [from, to]) => {
    const what = typeof from === 'string' ? from : new RegExp(from.source, 'gm');
    if (each.split(what).length < 2) throw new RangeError(`There is no ${from} in the offer`);
    return each.replaceAll(what, to);
  }, text);
}
const without = (text: string, line: RegExp) => changed(text, [new RegExp(`^${line.source}\\r\\n`), '']);
async function refusal(text: string): Promise<Refusal> {
  const thrown = await published(text).catch((cause: unknown) => cause);
  expect(thrown).toBeInstanceOf(Refusal);
  expect((thrown as Refusal).error.field).toBe('body');
  return thrown as Refusal;
}
const print = (bytes: number, byte = 'AB') => Array.from({ length: bytes }, () => byte).join(':');

describe('an offer is taken whatever its typography is', () => {
  test.for([
    ['line ends of LF alone', (text: string) => text.replaceAll('\r\n', '\n')],
    ['blanks at the ends of lines', (text: string) => text.replaceAll('\r\n', ' \t\r\n')],
    ['no last line end', (text: string) => text.trimEnd()],
    ['empty lines at the end', (text: string) => `${text}\r\n\r\n`],
    ['a session name that is one blank', (text: string) => text.replace('s=-', 's= ')],
    ['attributes nobody knows', (text: string) => text.replaceAll('a=mid:', 'a=x-new:1 2\r\na=x-flag\r\na=mid:')],
    [
      'lines of kinds that matter to nobody',
      (text: string) => text.replaceAll('a=rtcp-mux\r\n', 'b=AS:2500\r\na=rtcp-mux\r\n'),
    ],
    ['text that is not UTF-8', (text: string) => Buffer.from(text.replace('s=-', 's=caf\xe9'), 'latin1').toString()],
    ['attributes in another order', (text: string) => text.replace(/(a=mid:0\r\n)([^]*?)(?=m=video)/, '$2$1')],
  ] as const)('%s', async ([, change]) => {
    const offer = change(CHROMIUM);
    expect(offer).not.toBe(CHROMIUM);
    const [plain, odd] = await Promise.all([published(CHROMIUM), published(offer)]);
    expect(odd.taken).toEqual(plain.taken);
    expect(odd.answer.replace(/^o=.*$/m, '')).toBe(plain.answer.replace(/^o=.*$/m, ''));
  });
});

describe('an offer that is none is refused, and the refusal says where', () => {
  test.for([
    ['nothing', '', /does not begin with "v=0"/],
    ['JSON', '{"type":"offer"}', /does not begin with "v=0"/],
    ['no m-line', CHROMIUM.slice(0, CHROMIUM.indexOf('m=')), /no m-line/],
    ['a line without a letter', CHROMIUM.replace('t=0 0', 'time'), /line 4 /],
    ['a NUL', CHROMIUM.replace('t=0 0', 't=0 \0'), /line 4 /],
    ['carriage returns alone', CHROMIUM.replaceAll('\r\n', '\r'), /"v=0"/],
    [
      'an m-line without formats',
      changed(CHROMIUM, [/(^m=audio 9 UDP\/TLS\/RTP\/SAVPF).*$/, '$1']),
      /line 8 is not an m-line/,
    ],
    ['a port beyond all', changed(CHROMIUM, [/^m=audio 9 /, 'm=audio 70000 ']), /line 8 is not an m-line/],
    [
      'a line that is too long',
      CHROMIUM.replace('s=-', `s=${'x'.repeat(5_000)}`),
      /line 3 has more than 4000 characters/,
    ],
    ['too many lines', `v=0\r\n${'a=x\r\n'.repeat(5_000)}`, /more than 4000 lines/],
    ['a thousand m-lines', CHROMIUM + 'm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n'.repeat(1_000), /more than 16 m-lines/],
    ['no ICE user', without(CHROMIUM, /a=ice-ufrag:.*/), /a=ice-ufrag/],
    ['no ICE password', without(CHROMIUM, /a=ice-pwd:.*/), /a=ice-pwd/],
    ['a short ICE password', changed(CHROMIUM, [/^a=ice-pwd:.*$/, 'a=ice-pwd:abc']), /a=ice-pwd/],
    ['a short ICE user', changed(CHROMIUM, [/^a=ice-ufrag:.*$/, 'a=ice-ufrag:abc']), /a=ice-ufrag/],
    ['an ICE user of other letters', changed(CHROMIUM, [/^a=ice-ufrag:.*$/, 'a=ice-ufrag:a b c d']), /a=ice-ufrag/],
    ['no fingerprint', without(CHROMIUM, /a=fingerprint:.*/), /a=fingerprint/],
    [
      'a fingerprint of MD5 alone',
      changed(CHROMIUM, [/^a=fingerprint:.*$/, `a=fingerprint:md5 ${print(16)}`]),
      /a=fingerprint/,
    ],
    [
      'a fingerprint that is cut off',
      changed(CHROMIUM, [/^a=fingerprint:.*$/, `a=fingerprint:sha-256 ${print(31)}`]),
      /a=fingerprint/,
    ],
    ['a setup nobody knows', changed(CHROMIUM, [/^a=setup:.*$/, 'a=setup:holdconn']), /a=setup:holdconn/],
    ['a client that is ICE-lite too', changed(CHROMIUM, ['t=0 0', 't=0 0\r\na=ice-lite']), /a=ice-lite/],
    ['RTCP on a port of its own', without(CHROMIUM, /a=rtcp-mux/), /a=rtcp-mux/],
    ['no bundle', without(CHROMIUM, /a=group:BUNDLE.*/), /BUNDLE/],
    ['two bundles', changed(CHROMIUM, ['a=group:BUNDLE 0 1', 'a=group:BUNDLE 0\r\na=group:BUNDLE 1']), /BUNDLE/],
    ['a bundle that lacks one', changed(CHROMIUM, ['a=group:BUNDLE 0 1', 'a=group:BUNDLE 0']), /BUNDLE/],
    ['a section without a name', without(CHROMIUM, /a=mid:1/), /no a=mid/],
    ['two sections of one name', changed(CHROMIUM, ['a=mid:1', 'a=mid:0']), /same a=mid/],
    ['a name that is no token', changed(CHROMIUM, ['a=mid:1', 'a=mid:one two']), /a=mid/],
    ['an extension without an address', changed(CHROMIUM, [/^a=extmap:3 .*$/, 'a=extmap:3']), /a=extmap/],
    ['one number for two extensions', changed(CHROMIUM, ['a=extmap:3 ', 'a=extmap:4 ']), /a=extmap/],
    ['an SSRC of 0', changed(CHROMIUM, [/^a=ssrc:\d+/, 'a=ssrc:0']), /a=ssrc/],
    [
      'a payload type with two codecs',
      CHROMIUM.replace('a=rtpmap:111 opus', 'a=rtpmap:111 G722/8000\r\na=rtpmap:111 opus'),
      /a=rtpmap:111/,
    ],
    [
      'several tracks under one m-line',
      CHROMIUM.replace(/(?<=m=video[^]*?)a=ssrc:/, 'a=ssrc:77 cname:other\r\na=ssrc:'),
      /several tracks/,
    ],
    [
      'sections that are all turned off',
      changed(CHROMIUM, [/^m=(audio|video) 9/, 'm=$1 0']),
      /no sound and no picture/,
    ],
    ['RTP without encryption', changed(CHROMIUM, ['UDP/TLS/RTP/SAVPF', 'RTP/AVP']), /no sound and no picture/],
    ['nothing that is sent', changed(CHROMIUM, ['a=sendonly', 'a=inactive']), /sends nothing/],
    [
      'codecs that are not known here',
      changed(offered('obs-31-hevc'), ['opus/48000/2', 'G722/8000']),
      /audio\/G722, video\/H265/,
    ],
  ] as const)('%s', async ([, offer, message]) => {
    const { error } = await refusal(offer);
    expect(error.message).toMatch(message);
    expect(error.message.length).toBeLessThan(300);
    expect(error.fix).toMatch(/^(Send|Offer) .*\.$/);
  });

  test.for([
    ['line ends', '\n'.repeat(64_000) + 'x'],
    ['a blank in the middle', `v=0\r\ns=${' '.repeat(3_990)}x\r\n`.repeat(16)],
    ['one line', `v=0\r\na=${'x'.repeat(64_000)}`],
    [
      'blanks in format parameters',
      changed(CHROMIUM, [/^a=fmtp:111 .*$/, `a=fmtp:111 minptime${' '.repeat(1_900)}=${' '.repeat(1_900)}x y`]),
    ],
  ])('64 KiB of %s take no time to read', ([, text]) => {
    // Where the time grew with the square of the length, this would not end within a test's time.
    for (let i = 0; i < 10; i += 1)
      try {
        readOffer(text!);
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(Refusal);
      }
  });
});

test('sound alone needs no bundle and no name', async () => {
  const bare = without(without(offered('chromium-publish-audio'), /a=mid:0/), /a=group:BUNDLE 0/);
  const { answer, taken } = await published(bare);
  expect(parts(answer).parts.map(({ port }) => port)).toEqual([9]);
  expect(answer).not.toMatch(/^a=(group|mid)/m);
  expect(taken[0]!.rtpParameters.mid).toBeUndefined();
  expect(taken[0]!.rtpParameters.encodings![0]!.ssrc).toBeGreaterThan(0);
});

test('who is named twice in the bundle is answered once', async () => {
  const { answer } = await published(changed(CHROMIUM, ['BUNDLE 0 1', 'BUNDLE 1 0 1']));
  expect(attributes(parts(answer).head, 'group')).toEqual(['BUNDLE 1 0']);
});

describe('the transport', () => {
  test('may be described once for all sections', async () => {
    const { ice, dtls, trickles } = readOffer(offered('obs-30'));
    expect(ice).toEqual({ ufrag: 'Qx7p', pwd: 'm4WnZk8vTs2LrYc6HdJq1f' });
    expect(dtls.fingerprints.map(({ algorithm }) => algorithm)).toEqual(['sha-256']);
    expect(trickles).toBe(true);
  });

  test('is that of the first in the bundle, be it a data channel, and is answered so', async () => {
    // RFC 9143 §7.2: a bundle-only section may leave it out.
    const [head, audio, video, data] = offered('chromium-publish-data').split(/\r\n(?=m=)/);
    const bare = (section: string) =>
      section
        .replace(/ 9 /, ' 0 ')
        .replace(/a=(ice-|fingerprint|setup)[^]*?\r\n/g, '')
        .replace('a=mid', 'a=bundle-only\r\na=mid');
    const offer = [head!.replace('BUNDLE 0 1 2', 'BUNDLE 2 1 0'), bare(audio!), bare(video!), data].join('\r\n');
    expect(readOffer(offer).ice).toEqual(readOffer(offered('chromium-publish-data')).ice);
    const { answer } = await published(offer);
    expect(attributes(parts(answer).head, 'group')).toEqual(['BUNDLE 1 0']);
    expect(parts(answer).parts.map(({ port }) => port)).toEqual([9, 9, 0]);
    // What comes later is about the first that is not turned down.
    expect(readOffer(offer).section).toMatchObject({ media: 'video', protocol: 'UDP/TLS/RTP/SAVPF', mid: '1' });
  });

  test('is not that of a section that is turned off', () => {
    const [head, audio, video] = CHROMIUM.split(/\r\n(?=m=)/);
    const off = audio!.replace('m=audio 9', 'm=audio 0').replace(/a=ice-ufrag:.*/, 'a=ice-ufrag:stale');
    expect(readOffer([head, off, video].join('\r\n')).ice).toEqual(readOffer(CHROMIUM).ice);
  });

  test('is checked by its strongest fingerprint, for mediasoup looks at the first alone', () => {
    const many = [`sha-1 ${print(20)}`, `SHA-256 ${print(32, 'cd')}`, `sha-512 ${print(64)}`, `md5 ${print(16)}`];
    const offer = changed(CHROMIUM, [/^a=fingerprint:.*$/, many.map((each) => `a=fingerprint:${each}`).join('\r\n')]);
    const { fingerprints } = readOffer(offer).dtls;
    expect(fingerprints.map(({ algorithm }) => algorithm)).toEqual(['sha-512', 'sha-256', 'sha-1']);
    expect(fingerprints[1]!.value).toBe(print(32, 'CD'));
  });

  test('has the fingerprint under the m-line before that under none (RFC 8122 §5)', () => {
    const offer = changed(CHROMIUM, ['t=0 0', `t=0 0\r\na=fingerprint:sha-512 ${print(64)}`]);
    expect(readOffer(offer).dtls).toEqual(readOffer(CHROMIUM).dtls);
  });

  test.for([
    ['mDNS', 'a=candidate:1 1 udp 2113937151 e41d57b2-9efa-480c-962b-3d3c271835dd.local 37756 typ host generation 0'],
    ['TCP', 'a=candidate:2 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active generation 0'],
    ['IPv6', 'a=candidate:3 1 udp 2122260223 2001:db8::7 5000 typ srflx raddr :: rport 9'],
  ])('may have candidates of %s: the gateway waits to be found', async ([, candidate]) => {
    const offer = changed(CHROMIUM, ['a=mid:0', `${candidate}\r\na=mid:0`]);
    expect((await published(offer)).taken).toEqual((await published(CHROMIUM)).taken);
  });

  test.for([
    ['none', '', false],
    ['trickle', 'a=ice-options:trickle\r\n', true],
    ['ice2 and trickle', 'a=ice-options:ice2 trickle\r\n', true],
    ['renomination', 'a=ice-options:renomination\r\n', false],
  ] as const)('with ICE options %s', async ([, line, trickles]) => {
    const { answer } = await published(changed(CHROMIUM, ['a=ice-options:trickle\r\n', line || 'a=x\r\n']));
    expect(attributes(parts(answer).parts[0]!.lines, 'ice-options')).toEqual(trickles ? ['trickle'] : []);
  });
});

describe('codecs', () => {
  const h264 = (fmtp: string) => {
    const [head, video] = H264.split(/\r\n(?=m=)/);
    const one = video!
      .replace(/^m=.*$/m, 'm=video 9 UDP/TLS/RTP/SAVPF 102')
      .replace(/^a=fmtp:102 .*$/m, fmtp ? `a=fmtp:102 ${fmtp}` : 'a=x');
    return `${head}\r\n${one}`;
  };
  test.for([
    ['constrained baseline', 'packetization-mode=1;profile-level-id=42e01f;level-asymmetry-allowed=1'],
    ['constrained baseline, otherwise written', 'profile-level-id=42C01F; packetization-mode=1'],
    ['constrained baseline as Main', 'packetization-mode=1;profile-level-id=4d801f'],
    ['constrained baseline in digits alone', 'packetization-mode=1;profile-level-id=424014'],
    ['Baseline', 'packetization-mode=1;profile-level-id=42001f'],
    ['Baseline that says it is', 'packetization-mode=1;profile-level-id=428014'],
    ['another level, both the same', 'packetization-mode=1;profile-level-id=42e034;level-asymmetry-allowed=0'],
    ['no profile', 'packetization-mode=1'],
  ])('H.264 is taken with %s, and its parameters are answered as they are (RFC 6184 §8.2.2)', async ([, fmtp]) => {
    const { answer, taken } = await published(h264(fmtp!));
    expect(answer).toContain(`a=fmtp:102 ${fmtp}\r\n`);
    expect(['string', 'undefined']).toContain(
      typeof taken[0]!.rtpParameters.codecs[0]!.parameters!['profile-level-id'],
    );
  });
  test.for([
    ['packetization-mode 0', 'packetization-mode=0;profile-level-id=42e01f'],
    ['no packetization-mode, which means 0', 'profile-level-id=42e01f'],
    ['High', 'packetization-mode=1;profile-level-id=640c1f'],
    ['Main', 'packetization-mode=1;profile-level-id=4d001f'],
    ['a profile that is none', 'packetization-mode=1;profile-level-id=42e0'],
    ['no parameters', ''],
  ])('H.264 is turned down with %s', async ([, fmtp]) => {
    expect((await refusal(h264(fmtp!))).error.message).toContain('video/H264');
  });
  test('H.264 whose profile is written as constrained goes before one that is not', async () => {
    const { answer } = await published(H264);
    expect(parts(answer).parts[0]!.formats[0]).toBe('108');
    expect(answer).toContain('profile-level-id=42e01f');
  });

  test('VP9 of profile 2 is turned down, of profile 0 taken', async () => {
    const vp9 = offered('chromium-publish-vp9');
    expect(attributes(parts((await published(vp9)).answer).parts[1]!.lines, 'fmtp')).toEqual(['98 profile-id=0']);
    const other = changed(vp9, ['profile-id=0', 'profile-id=2']);
    expect(parts((await published(other)).answer).parts[1]!.port).toBe(0);
  });

  test('AV1 is taken in its main profile', async () => {
    const av1 = offered('chromium-publish-av1');
    expect(parts((await published(av1)).answer).parts[1]!.formats).toEqual(['45']);
    const high = changed(av1, [/^a=fmtp:45 .*$/, 'a=fmtp:45 profile=1']);
    expect(parts((await published(high)).answer).parts[1]!.port).toBe(0);
  });

  test('Opus’ wishes are answered, what the client says of its own stream is not (RFC 7587 §7)', async () => {
    const { answer, taken } = await published(offered('obs-30'));
    expect(answer).toContain('a=fmtp:111 minptime=10;maxaveragebitrate=96000;stereo=1;useinbandfec=1\r\n');
    expect(taken[0]!.rtpParameters.codecs[0]!.parameters).toMatchObject({ stereo: 1, useinbandfec: 1 });
  });

  test('redundancy and error correction are not taken, retransmission is', async () => {
    const { answer } = await published(CHROMIUM);
    expect(answer).not.toMatch(/ (red|ulpfec|flexfec)/);
    expect(answer).toContain('a=rtpmap:97 rtx/90000');
    const { taken } = await published(CHROMIUM);
    expect(taken[1]!.rtpParameters.encodings![0]!.rtx!.ssrc).toBeGreaterThan(0);
  });

  test('payload types of 35 to 63 are usable, those taken for RTCP are not (RFC 5761 §4)', async () => {
    const obs = (to: string) =>
      changed(offered('obs-30'), ['SAVPF 96', `SAVPF ${to}`], [/^(a=(?:rtpmap|rtcp-fb|fmtp)):96 /, `$1:${to} `]);
    for (const to of ['35', '63', '127'])
      expect(parts((await published(obs(to))).answer).parts[1]!.formats).toEqual([to]);
    for (const to of ['64', '72', '95', '128']) expect(parts((await published(obs(to))).answer).parts[1]!.port).toBe(0);
  });

  test('a format that is named twice is answered once', async () => {
    const { answer } = await published(CHROMIUM.replace('SAVPF 111 ', 'SAVPF 111 111 '));
    expect(parts(answer).parts[0]!.formats).toEqual(['111']);
  });
});

describe('header extensions', () => {
  test('of one direction are answered in the other, or not at all', async () => {
    const { answer } = await published(
      changed(CHROMIUM, ['a=extmap:4 ', 'a=extmap:4/sendonly '], ['a=extmap:3 ', 'a=extmap:3/recvonly ']),
    );
    for (const { lines } of parts(answer).parts) {
      const maps = attributes(lines, 'extmap');
      expect(maps).toContain('4/recvonly urn:ietf:params:rtp-hdrext:sdes:mid');
      expect(maps.join()).not.toContain('transport-wide-cc');
      // Without the extension its feedback would be about nothing.
      expect(attributes(lines, 'rtcp-fb').join()).not.toContain('transport-cc');
    }
  });
  test('of both lengths in one stream are answered where they are offered', async () => {
    expect((await published(CHROMIUM)).answer).toContain('\r\na=extmap-allow-mixed\r\n');
    expect((await published(without(CHROMIUM, /a=extmap-allow-mixed/))).answer).not.toContain('mixed');
  });
  test('are needed where nothing else tells the packets', async () => {
    const unnamed = without(CHROMIUM, /a=ssrc.*/);
    expect((await published(unnamed)).taken[0]!.rtpParameters.mid).toBe('0');
    expect((await refusal(without(unnamed, /a=extmap.*/))).error.message).toContain('no a=ssrc');
  });
});

describe('layers', () => {
  const simulcast = offered('chromium-publish-simulcast');
  test.for([
    ['named by quality', ['q', 'h', 'f'], 'f'],
    ['named in words', ['low', 'mid', 'high'], 'high'],
    ['named by letters', ['l', 'm', 'h'], 'h'],
    ['named by number', ['0', '1', '2'], '0'],
  ] as const)('%s: the best is taken', async ([, names, best]) => {
    const lines = names.map((name) => `a=rid:${name} send`).join('\r\n');
    const offer = changed(
      without(simulcast, /a=rid:[hf] send/),
      ['a=rid:q send', lines],
      ['send q;h;f', `send ${names.join(';')}`],
    );
    expect((await published(offer)).taken[1]!.rtpParameters.encodings).toEqual([{ rid: best }]);
  });
  test('that are paused are not waited for (RFC 8853 §5.1)', async () => {
    const offer = changed(simulcast, ['send q;h;f', 'send q;h;~f']);
    expect((await published(offer)).taken[1]!.rtpParameters.encodings).toEqual([{ rid: 'h' }]);
  });
  test('by SSRC are refused', async () => {
    const offer = CHROMIUM.replace(
      /(?<=m=video[^]*?)a=ssrc-group:FID (\d+) \d+/,
      'a=ssrc-group:SIM $1 5 6\r\na=ssrc:5 cname:x\r\na=ssrc:6 cname:x',
    );
    expect((await refusal(offer)).error.fix).toContain('one layer');
  });
});
