import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { types } from 'mediasoup';
import type { Method, Methods, TrackId, TrackView } from '../../gateway/protocol.ts';

/** Each sound has its own pitch, Hz, so that a test can tell what is heard. Catalan's voices do not come by themselves. */
export const PITCH: Readonly<Record<string, number>> = {
  original: 440,
  'dub:es': 880,
  'dub:ca': 660,
  'voice:es': 1_320,
};
/** Voices are half as loud as everything else: beside an original that is up they are not the strongest. */
const SOFTER = 0.5;

const LISTEN = { ip: '127.0.0.1' } as const;

interface Member {
  readonly transports: Map<string, types.WebRtcTransport>;
  readonly consumers: Map<string, types.Consumer>;
  readonly producers: Map<string, types.Producer>;
}

/**
 * Real media for {@link PageServer}: a mediasoup router on loopback, fed by one FFmpeg with a moving picture and a tone per
 * track. Media time 0 is the first packet of each. What pages publish is only counted.
 *
 * The programme is encoded once and then sent as it is, over and over: an FFmpeg that encodes while it sends falls behind on
 * a busy machine, and not equally for all tracks.
 */
export class PageMedia {
  tracks: TrackView[] = [];
  /** What pages have published, alive or not. */
  readonly published: types.Producer[] = [];
  readonly #worker: types.Worker;
  readonly #router: types.Router;
  readonly #sources = new Map<TrackId, types.Producer>();
  readonly #members = new Map<object, Member>();
  #ffmpeg: ChildProcess | undefined;

  private constructor(worker: types.Worker, router: types.Router) {
    this.#worker = worker;
    this.#router = router;
  }

  /** `workerBin` is the mediasoup worker program; the programme is kept in `directory`. Resolves when every track flows. */
  static async open(workerBin: string, directory: string): Promise<PageMedia> {
    process.env['MEDIASOUP_WORKER_BIN'] = workerBin; // read once, when mediasoup is imported
    const { createWorker } = await import('mediasoup');
    const worker = await createWorker({ logLevel: 'error' });
    const router = await worker.createRouter({
      mediaCodecs: [
        { kind: 'audio', mimeType: 'audio/opus', clockRate: 48_000, channels: 2, parameters: { useinbandfec: 1 } },
        { kind: 'video', mimeType: 'video/VP8', clockRate: 90_000 },
      ],
    });
    const media = new PageMedia(worker, router);
    await media.#play(await encoded(directory));
    return media;
  }

  get rtpCapabilities(): types.RouterRtpCapabilities {
    return this.#router.rtpCapabilities;
  }

  /** Transports open for a socket's page: one that reconnected has made new ones. */
  transportsOf(member: object): number {
    return this.#members.get(member)?.transports.size ?? 0;
  }

  /** Consumers that are sending now, by track. */
  flowing(): string[] {
    return [...this.#members.values()].flatMap(({ consumers }) =>
      [...consumers.values()]
        .filter(({ paused, closed }) => !paused && !closed)
        .map(({ appData }) => String(appData['trackId'])),
    );
  }

  async answer(ws: object, method: Exclude<Method, 'join'>, data: unknown): Promise<unknown> {
    const member: Member = this.#members.get(ws) ?? {
      transports: new Map(),
      consumers: new Map(),
      producers: new Map(),
    };
    this.#members.set(ws, member);
    const given = data as Record<string, string>;
    const transport = member.transports.get(given['transportId'] ?? '');
    const consumer = member.consumers.get(given['consumerId'] ?? '');
    switch (method) {
      case 'createTransport': {
        const made = await this.#router.createWebRtcTransport({ listenInfos: [{ protocol: 'udp', ...LISTEN }] });
        member.transports.set(made.id, made);
        const { id, iceParameters, iceCandidates, dtlsParameters } = made;
        return { id, iceParameters, iceCandidates, dtlsParameters, iceServers: [] };
      }
      case 'connectTransport':
        await transport?.connect({ dtlsParameters: (data as { dtlsParameters: types.DtlsParameters }).dtlsParameters });
        return {};
      case 'restartIce':
        return { iceParameters: await transport?.restartIce() };
      case 'consume': {
        const { trackId, rtpCapabilities } = data as Methods['consume']['in'];
        const source = this.#sources.get(trackId);
        if (!transport || !source) throw new Error(`no ${trackId}`);
        const made = await transport.consume({
          producerId: source.id,
          rtpCapabilities: rtpCapabilities,
          paused: true,
          appData: { trackId },
        });
        member.consumers.set(made.id, made);
        return {
          consumerId: made.id,
          producerId: source.id,
          trackId,
          kind: made.kind,
          rtpParameters: made.rtpParameters,
        };
      }
      case 'pause':
        await consumer?.pause();
        return {};
      case 'resume':
        await consumer?.resume();
        return {};
      case 'produce': {
        const { kind, rtpParameters } = data as { kind: 'audio' | 'video'; rtpParameters: types.RtpParameters };
        const made = await transport?.produce({ kind, rtpParameters });
        if (!made) throw new Error('no such transport');
        member.producers.set(made.id, made);
        this.published.push(made);
        return { producerId: made.id };
      }
      case 'closeProducer':
        member.producers.get(given['producerId'] ?? '')?.close();
        return {};
    }
  }

  /** The socket is gone, and everything of its page with it. */
  leave(ws: object): void {
    for (const transport of this.#members.get(ws)?.transports.values() ?? []) transport.close();
    this.#members.delete(ws);
  }

  async close(): Promise<void> {
    const ffmpeg = this.#ffmpeg;
    if (ffmpeg && ffmpeg.exitCode === null) {
      const exited = once(ffmpeg, 'exit');
      ffmpeg.kill('SIGKILL');
      await exited;
    }
    this.#worker.close();
  }

  async #play(programme: string): Promise<void> {
    const tones = Object.keys(PITCH) as TrackId[];
    const outputs: string[] = [];
    const first: Promise<TrackView>[] = [];
    for (const [index, id] of (['video', ...tones] as TrackId[]).entries()) {
      const video = id === 'video';
      const transport = await this.#router.createPlainTransport({
        listenInfo: { protocol: 'udp', ...LISTEN },
        rtcpMux: false,
        comedia: true,
      });
      const ssrc = 1111 + index;
      const producer = await transport.produce({
        kind: video ? 'video' : 'audio',
        rtpParameters: {
          codecs: [
            video
              ? { mimeType: 'video/VP8', payloadType: 96, clockRate: 90_000 }
              : { mimeType: 'audio/opus', payloadType: 97, clockRate: 48_000, channels: 2 },
          ],
          encodings: [{ ssrc }],
        },
      });
      this.#sources.set(id, producer);
      first.push(this.#firstPacket(id, producer));
      const { localPort } = transport.tuple;
      const target = `rtp://127.0.0.1:${localPort}?rtcpport=${transport.rtcpTuple?.localPort}`;
      outputs.push(
        '-map',
        `0:${index}`,
        '-c',
        'copy',
        '-payload_type',
        video ? '96' : '97',
        '-ssrc',
        String(ssrc),
        '-f',
        'rtp',
        target,
      );
      await producer.enableTraceEvent(['rtp']);
    }
    const ffmpeg = spawn('ffmpeg', ['-v', 'error', '-re', '-stream_loop', '-1', '-i', programme, ...outputs], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#ffmpeg = ffmpeg;
    const complaints: Buffer[] = [];
    ffmpeg.stderr.on('data', (line: Buffer) => complaints.push(line));
    const ended = once(ffmpeg, 'exit').then(() => {
      throw new Error(`FFmpeg ended: ${Buffer.concat(complaints).toString()}`);
    });
    ended.catch(() => {}); // its end after the tracks flow is our own doing
    this.tracks = await Promise.race([Promise.all(first), ended]);
  }

  async #firstPacket(id: TrackId, producer: types.Producer): Promise<TrackView> {
    const base = await new Promise<number>((resolve) => {
      producer.on('trace', ({ info }) => {
        const packet = (info['rtpPacket'] ?? info) as { timestamp: number };
        resolve(packet.timestamp);
        void producer.enableTraceEvent([]);
      });
    });
    const language = id === 'video' ? null : id === 'original' ? 'en' : (id.split(':')[1] ?? null);
    return {
      id,
      kind: producer.kind,
      language,
      label: language,
      rtp: { base, rate: producer.kind === 'video' ? 90_000 : 48_000 },
    };
  }
}

/** Twenty seconds of a moving picture (stream 0) and of every tone (streams 1 and on), in one file. */
async function encoded(directory: string): Promise<string> {
  const file = join(directory, 'programme.mkv');
  const inputs = ['-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=25'];
  const maps = ['-map', '0:v'];
  for (const [index, [id, pitch]] of Object.entries(PITCH).entries()) {
    const volume = id.startsWith('voice:') ? SOFTER : 1;
    inputs.push('-f', 'lavfi', '-i', `sine=frequency=${pitch}:sample_rate=48000,volume=${volume}`);
    maps.push('-map', `${index + 1}:a`);
  }
  const codecs = [
    '-c:v',
    'libvpx',
    '-deadline',
    'realtime',
    '-cpu-used',
    '8',
    '-b:v',
    '500k',
    '-g',
    '25',
    '-c:a',
    'libopus',
    '-b:a',
    '48k',
  ];
  await promisify(execFile)('ffmpeg', ['-v', 'error', '-y', ...inputs, ...maps, ...codecs, '-t', '20', file]);
  return file;
}
