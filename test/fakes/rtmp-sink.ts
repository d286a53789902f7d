import { once } from 'node:events';
import { type AddressInfo, type Socket, createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { type FlvTag, TAG, flvHeader, flvTag } from '../../gateway/rtmp/flv.ts';
import { servePublisher } from '../../gateway/rtmp/publisher.ts';
import { keysIn } from '../../gateway/rtmp/stream-key.ts';
import type { Scope } from '../../media/scope.ts';

/** What one publisher has sent. */
export interface Received {
  readonly app: string;
  readonly name: string;
  readonly tags: readonly FlvTag[];
  /** Whether it ended, in order or not. */
  readonly over: boolean;
}

export interface RtmpSink {
  readonly port: number;
  /** Where to publish, with the key in it. */
  readonly url: string;
  /** Everybody who was let in, the newest last. */
  readonly received: readonly Received[];
  /** Publishers with another key. */
  readonly turnedAway: number;
  /** What one of them has sent, as a file that FFmpeg reads; the newest unless told. */
  flv(which?: number): Buffer;
  /** Cuts every connection, as a server does that dies. */
  cut(): void;
}

export interface RtmpSinkOptions {
  readonly key: string;
  readonly port?: number;
  /** Its certificate and key in PEM, for RTMPS. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** Another server that takes RTMP, until `scope` closes: our own protocol, which keeps all that comes, of any codec. */
export async function openRtmpSink({ key, port = 0, tls }: RtmpSinkOptions, scope: Scope): Promise<RtmpSink> {
  const sockets = new Set<Socket>();
  const received: { app: string; name: string; tags: FlvTag[]; over: boolean }[] = [];
  let turnedAway = 0;
  const take = (socket: Socket) => {
    sockets.add(socket);
    let mine: (typeof received)[number] | undefined;
    servePublisher(socket, {
      publish: (app, name) => {
        if (!keysIn(app, name).includes(key)) {
          turnedAway += 1;
          return { code: 'NetStream.Publish.BadName', description: 'Wrong key.' };
        }
        mine = { app, name, tags: [], over: false };
        received.push(mine);
        return undefined;
      },
      tag: (tag) => {
        mine?.tags.push(tag);
        return undefined;
      },
      unpublish: () => {
        if (mine) mine.over = true;
      },
      closed: () => sockets.delete(socket),
    });
  };
  const server = tls ? createTlsServer({ ...tls }, take) : createServer(take);
  const cut = () => sockets.forEach((socket) => socket.destroy());
  scope.defer(() => {
    server.close();
    cut();
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const taken = (server.address() as AddressInfo).port;
  return {
    port: taken,
    url: `${tls ? 'rtmps' : 'rtmp'}://127.0.0.1:${taken}/live/${key}`,
    received,
    get turnedAway() {
      return turnedAway;
    },
    flv(which = received.length - 1) {
      const tags = received[which]?.tags ?? [];
      const has = (type: number) => tags.some((tag) => tag.type === type);
      const head = flvHeader({ audio: has(TAG.audio), video: has(TAG.video) });
      return Buffer.concat([head, ...tags.map((tag) => flvTag(tag))]);
    },
    cut,
  };
}
