import type { Clock } from '../../media/clock.ts';
import { JitterBuffer } from '../../media/jitter.ts';
import { type RtpPacket, isRtcp, parseRtp } from '../../media/rtp.ts';
import { type MediaTime, at } from '../../media/time.ts';
import { Unwrapper } from '../../media/unwrap.ts';
import type { TapTrack } from './ipc.ts';
import type { Outlet } from './outlet.ts';
import { PictureLine } from './picture-line.ts';
import { SoundLine } from './sound-line.ts';

interface Incoming {
  readonly track: TapTrack;
  readonly jitter: JitterBuffer<RtpPacket>;
  readonly stamps: Unwrapper;
  readonly line: SoundLine | PictureLine;
}

/**
 * What viewers get from the SFU, as plain RTP, taken apart for outlets: each gets the pictures and the sound in the form it
 * wants, and what nobody wants is not made. It opens no socket.
 */
export class Tap {
  readonly #clock: Clock;
  readonly #outlets: () => readonly Outlet[];
  readonly #onFirst: (media: MediaTime) => void;
  #incoming = new Map<number, Incoming>();
  #began = false;
  #strangers = 0;
  #lost = 0;
  #past = { filled: 0, damaged: 0, dropped: 0 };

  /** @param onFirst is called with the time of the first packet of sound */
  constructor(clock: Clock, outlets: () => readonly Outlet[], onFirst: (media: MediaTime) => void) {
    this.#clock = clock;
    this.#outlets = outlets;
    this.#onFirst = onFirst;
  }

  get counts(): Readonly<Record<string, number>> {
    const now = { ...this.#past };
    for (const { line } of this.#incoming.values()) add(now, line);
    return {
      'datagrams of no track': this.#strangers,
      'packets lost': this.#lost,
      'sound packets made up': now.filled,
      'sound packets damaged': now.damaged,
      'pictures dropped': now.dropped,
    };
  }

  /** Everything before it has come; `undefined` before the first packet. */
  get position(): MediaTime | undefined {
    const nexts = [...this.#incoming.values()].flatMap(({ line }) =>
      line instanceof SoundLine && line.next !== undefined ? [line.next] : [],
    );
    return nexts.length > 0 ? at(Math.min(...nexts)) : undefined;
  }

  /** Whole list. A track that was there goes on where it is. */
  tracks(tracks: readonly TapTrack[]): void {
    const before = this.#incoming;
    this.#incoming = new Map();
    for (const track of tracks) {
      const old = before.get(track.ssrc);
      before.delete(track.ssrc);
      this.#incoming.set(track.ssrc, old ?? this.#open(track));
    }
    for (const { line } of before.values()) {
      add(this.#past, line);
      line[Symbol.dispose]();
    }
    for (const outlet of this.#outlets()) this.introduce(outlet);
  }

  /** Tells an outlet what there is. */
  introduce(outlet: Outlet): void {
    outlet.tracks([...this.#incoming.values()].map(({ track: { ssrc: _, rtp: __, ...track } }) => track));
  }

  datagram(data: Buffer): void {
    if (isRtcp(data)) return;
    const packet = parseRtp(data);
    const incoming = packet && this.#incoming.get(packet.ssrc);
    if (!packet || !incoming) {
      this.#strangers += 1;
      return;
    }
    // The SFU's probes have no payload.
    if (packet.payload.byteLength === 0) return;
    incoming.jitter.push(packet, this.#clock.now());
    this.#release(incoming);
  }

  /** What time alone brings. Called several times a second. */
  tick(): void {
    const now = this.#clock.now();
    for (const incoming of this.#incoming.values()) this.#release(incoming);
    const { position } = this;
    if (position !== undefined) for (const outlet of this.#outlets()) outlet.tick(now, position);
  }

  close(): void {
    for (const { line } of this.#incoming.values()) line[Symbol.dispose]();
    this.#incoming.clear();
  }

  #release({ jitter, stamps, track, line }: Incoming): void {
    const now = this.#clock.now();
    for (let next = jitter.pop(now); next; next = jitter.pop(now)) {
      if (next.type !== 'packet') {
        this.#lost += next.type === 'lost' ? next.count : 0;
        if (line instanceof PictureLine) line.lost();
        continue;
      }
      const { packet } = next;
      const ticks = stamps.unwrap((packet.timestamp - track.rtp.base) >>> 0);
      const media = at(Math.round((ticks * 1_000_000) / track.rtp.rate));
      if (line instanceof PictureLine) line.push(packet, media);
      else {
        if (!this.#began) this.#onFirst(media);
        this.#began = true;
        line.push(media, packet.payload);
      }
    }
  }

  #open(track: TapTrack): Incoming {
    const parts = { track, jitter: new JitterBuffer<RtpPacket>(), stamps: new Unwrapper(32) };
    const outlets = this.#outlets;
    if (track.kind === 'audio') {
      const line = new SoundLine(track, {
        wants: (form) => outlets().some(({ wants }) => wants.sound === form),
        give(form, sound) {
          for (const outlet of outlets()) if (outlet.wants.sound === form) outlet.sound(sound);
        },
      });
      return { ...parts, line };
    }
    const line = new PictureLine(track, {
      wants: (form) => outlets().some(({ wants }) => wants.pictures === form),
      give(form, picture) {
        for (const outlet of outlets()) if (outlet.wants.pictures === form) outlet.picture(picture);
      },
    });
    return { ...parts, line };
  }
}

function add(sum: { filled: number; damaged: number; dropped: number }, line: SoundLine | PictureLine): void {
  if (line instanceof PictureLine) sum.dropped += line.dropped;
  else {
    sum.filled += line.filled;
    sum.damaged += line.damaged;
  }
}
