// A scripted session process: speaks gateway/session/ipc.ts and sends real RTP, but dubs nothing.
//
// Audio tracks get a silent Opus frame every 20 ms; video is the publisher's, 200 ms late. RTP time stamps derive from
// media time, so that a successor goes on where its predecessor died. What it does otherwise is in the session's name:
//   "crashes"     exits at once, every time      "no media"   refuses the session
//   "hangs"       never says ready                "ends"       the programme is over after 300 ms
//   "stays"       does not end when asked to      "told apart" puts each sound's track behind the silence
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

const SILENCE = Buffer.from([0xf8, 0xff, 0xfe]); // RFC 6716 §3.1: CELT, fullband, 20 ms, one frame
const LATE = 200_000;
const say = (message) => process.connected && process.send(message);
const now = () => Number(process.hrtime.bigint() / 1000n);

/** Facts for the test, told in the field of `stats` that takes any name. */
const seen = {
  packets: 0,
  bytes: 0,
  audio: 0,
  video: 0,
  unknown: 0,
  keyFramesAsked: 0,
  replayedWithin100ms: 0,
  feedback: 0,
  generation: 0,
};
let outputs = [];
let inputs = [];
let start;
let anchor;
let sfu;
let videoOut = null;
let sequences = new Map();
let spoken = 0;

const input = createSocket({ type: 'udp4', recvBufferSize: 1 << 22 });
const output = createSocket('udp4');
process.on('disconnect', () => process.exit(0));

process.on('message', async (message) => {
  switch (message.type) {
    case 'start':
      return begin(message);
    case 'input':
      inputs = message.tracks;
      say({ type: 'listening' });
      return offerVideo();
    case 'add-language':
      outputs.push(...message.tracks);
      return;
    case 'remove-language':
      outputs = outputs.filter((track) => track.language !== message.language || track.id === 'original');
      return;
    case 'stop':
      if (start?.spec.name !== 'stays') process.exit(0);
  }
});

async function begin(message) {
  start = message;
  ({ sfu } = start);
  outputs = start.outputs.filter((track) => track.kind === 'audio');
  const { name } = start.spec;
  seen.generation = start.resume?.generation ?? 0;
  if (name === 'crashes') process.exit(3);
  if (name === 'hangs') return;
  if (name === 'no media') {
    say({
      type: 'failed',
      code: 'unsupported',
      field: 'source.path',
      message: 'The file holds no sound and no picture.',
      fix: 'Choose a media file.',
    });
    return setTimeout(() => process.exit(1), 50);
  }
  anchor = start.resume?.anchor ?? { media: 0, clock: now() };
  input.bind(start.ports.input, '127.0.0.1');
  output.bind(start.ports.output, '127.0.0.1');
  await Promise.all([once(input, 'listening'), once(output, 'listening')]);
  const readyAt = now();
  input.on('message', (data, from) => {
    seen.packets += 1;
    seen.bytes += data.length;
    if (seen.packets % 16 === 0) input.send(receipt(seen.packets), from.port, from.address);
    if (now() - readyAt < 100_000) seen.replayedWithin100ms += 1;
    if (data[1] >= 192 && data[1] <= 223) return; // RTCP (RFC 5761 §4)
    const track = inputs.find(({ ssrc }) => ssrc === data.readUInt32BE(8));
    if (!track) return (seen.unknown += 1);
    seen[track.kind] += 1;
    if (track.kind === 'video') setTimeout(() => forward(data), LATE / 1000);
    if (seen.video === 1 && track.kind === 'video') input.send(pli(track.ssrc), from.port, from.address);
  });
  output.on('message', () => (seen.feedback += 1));
  say({ type: 'ready', ports: { input: input.address().port, output: output.address().port } });
  setInterval(tick, 5);
  setInterval(
    () => say({ type: 'pulse', resume: { anchor, inputs: [], videoSequences: {}, generation: seen.generation } }),
    50,
  );
  setInterval(report, 100);
  say({ type: 'mode', mode: { audio: 'dubbed', video: 'original', text: 'translated', quality: 'full' } });
  if (name === 'ends') setTimeout(() => say({ type: 'ended' }), 300);
}

let frame = -1;
let live = false;
function tick() {
  const due = Math.floor((now() - anchor.clock) / 20_000);
  if (frame < 0) frame = Math.max(0, due - 5);
  for (; frame < due; frame += 1) {
    for (const track of outputs) {
      const sequence = frame & 0xffff;
      const named = start.spec.name === 'told apart';
      const sound = named ? Buffer.concat([SILENCE, Buffer.from(track.id)]) : SILENCE;
      send(track, sequence, (track.rtpBase + frame * 960) >>> 0, false, sound);
    }
  }
  if (!live && frame > 0) {
    live = true;
    say({ type: 'live' });
  }
}

function report() {
  const media = now() - anchor.clock;
  spoken += 1;
  const cue = {
    id: `${seen.generation}-${spoken}`,
    speaker: 'speaker 1',
    // What is shown before the programme begins is no caption.
    start: Math.max(0, media - 500_000),
    end: media,
    draft: false,
  };
  say({ type: 'cue', cue: { ...cue, language: start.spec.from, text: `sentence ${spoken} <&>` } });
  say({ type: 'cue', cue: { ...cue, language: start.spec.from, id: `${cue.id}-draft`, text: 'half a', draft: true } });
  for (const language of start.spec.to) {
    say({ type: 'cue', cue: { ...cue, language, text: `frase ${spoken}` } });
    say({ type: 'clip', clip: { utterance: cue.id, language, start: cue.start, end: cue.end } });
    say({ type: 'line', line: lineOf(cue, language) });
  }
  say({
    type: 'stats',
    stats: {
      delay: {
        configured: start.spec.delay,
        wanted: 5.5,
        measured: 5.25,
        lookahead: 0.5,
        least: 5,
        most: 10,
        drift: -12.5,
      },
      loudness: {
        original: { momentary: -20, shortTerm: -21, integrated: -22.5, truePeak: -3.25 },
        'dub:es': { momentary: null, shortTerm: null, integrated: -23.25, truePeak: -1.5 },
        'voice:es': { momentary: null, shortTerm: null, integrated: null, truePeak: null },
      },
      fit: { rungs: { es: { natural: spoken, slowed: 2 } }, withinSpeed: 1 },
      lips: null,
      mode: { audio: 'dubbed', video: 'original', text: 'translated', quality: 'full' },
      stages: [
        {
          kind: 'recognizer',
          engine: 'scripted',
          standIn: null,
          state: 'up',
          latency: { p50: 12, p95: 30, count: spoken },
          dropped: 0,
          faults: 0,
        },
      ],
      networks: [],
      spending: [],
      lines: { dubbed: spoken, captionOnly: 0, late: 0, trimmed: 0 },
      drops: { ...seen },
      viewers: 0,
      process: { cpu: 0.01, rssMiB: 40, restarts: 0, uptime: process.uptime() },
    },
  });
}

const lineOf = (cue, language) => ({
  utterance: cue.id,
  language,
  speaker: cue.speaker,
  source: `sentence ${spoken}`,
  text: `frase ${spoken}`,
  start: cue.start,
  end: cue.end,
  dub: { start: cue.start, end: cue.end },
  outcome: 'dubbed',
  speed: 1,
  rung: 'natural',
  fit: null,
  trimmedWords: 0,
  fit: null,
  after: { recognised: 100_000, translated: 150_000, synthesised: 250_000, placed: 260_000 },
  slack: 2_000_000,
});

function offerVideo() {
  const source = inputs.find(({ kind }) => kind === 'video');
  if (!source) return;
  const placeholder = start.outputs.find(({ id }) => id === 'video');
  const { ssrc, rtpBase, ...rest } = {
    ...placeholder,
    mimeType: source.mimeType,
    clockRate: source.clockRate,
    parameters: source.mimeType === 'video/H264' ? { 'packetization-mode': 1, 'profile-level-id': '42e01f' } : {},
  };
  videoOut = { ...rest, ssrc, rtpBase };
  say({ type: 'video', tracks: [rest] });
}
/** Where the publisher's pictures begin in the programme. */
let first;
function forward(data) {
  if (!videoOut) return;
  const copy = Buffer.from(data);
  const stamp = data.readUInt32BE(4);
  first ??= { stamp, media: now() - anchor.clock };
  const media = Math.round((first.media * 9) / 100) + ((stamp - first.stamp) | 0);
  copy.writeUInt32BE((videoOut.rtpBase + media) >>> 0, 4);
  copy[1] = (copy[1] & 0x80) | videoOut.payloadType;
  copy.writeUInt32BE(videoOut.ssrc, 8);
  output.send(copy, sfu.port, sfu.address);
}

/** RFC 3550 §5.1. */
function send(track, sequence, timestamp, marker, payload) {
  const header = Buffer.alloc(12);
  header[0] = 0x80;
  header[1] = (marker ? 0x80 : 0) | track.payloadType;
  header.writeUInt16BE(sequence, 2);
  header.writeUInt32BE(timestamp, 4);
  header.writeUInt32BE(track.ssrc, 8);
  output.send(Buffer.concat([header, payload]), sfu.port, sfu.address);
}
/** gateway/session/receipt.ts */
function receipt(count) {
  const data = Buffer.alloc(5, 1);
  data.writeUInt32BE(count, 1);
  return data;
}
/** Picture loss indication (RFC 4585 §6.3.1). */
function pli(ssrc) {
  const packet = Buffer.alloc(12);
  packet[0] = 0x81;
  packet[1] = 206;
  packet.writeUInt16BE(2, 2);
  packet.writeUInt32BE(1, 4);
  packet.writeUInt32BE(ssrc, 8);
  return packet;
}
