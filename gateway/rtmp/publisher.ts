import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import type { FlvTag } from './flv.ts';
import { NONCE_SIZE } from './handshake.ts';
import { RtmpError } from './rtmp-error.ts';
import { type PublishRefusal, RtmpServerConnection } from './server-connection.ts';

/** Why somebody is turned away, and what they are told. */
export interface Turned {
  readonly code: PublishRefusal;
  readonly description: string;
}

/** What a server makes of one peer that publishes. */
export interface PublisherHandlers {
  /** Whether they may; `undefined`: yes. */
  publish(app: string, name: string): Turned | undefined;
  /** Something to turn them away for, while they publish; `undefined`: go on. */
  tag(tag: FlvTag): Turned | undefined;
  /** An accepted publisher has ended, in order or not. Called once for each that was accepted. */
  unpublish(): void;
  /** The connection is over, for a reason where that is worth a line. */
  closed(reason: string | null): void;
}

export interface PublisherTimes {
  /** From the connection to an accepted publisher, ms. */
  readonly settle: number;
  /** Without a byte, ms. */
  readonly silent: number;
}
export const PUBLISHER_TIMES: PublisherTimes = { settle: 10_000, silent: 30_000 };

/** How long somebody who was turned away may take to read why, ms. */
const FAREWELL = 1_000;
/** Bytes that we keep for a peer that does not read. */
const MOST_UNREAD = 256 << 10;

/** Joins one TCP connection to the protocol. Everything that the peer does wrong ends its connection and nothing else. */
export function servePublisher(
  socket: Socket,
  handlers: PublisherHandlers,
  times: PublisherTimes = PUBLISHER_TIMES,
): { readonly close: (reason?: string | null) => void } {
  const connection = new RtmpServerConnection(randomBytes(NONCE_SIZE));
  let accepted = false;
  let over = false;
  let reason: string | null = null;
  let farewell: NodeJS.Timeout | undefined;
  const wait = () => setTimeout(() => end('it did not publish in time'), times.settle);
  let settle = wait();
  const leave = () => {
    if (accepted) handlers.unpublish();
    accepted = false;
  };
  const end = (why: string | null) => {
    if (over) return;
    over = true;
    reason = why;
    clearTimeout(settle);
    leave();
    socket.end();
    farewell = setTimeout(() => socket.destroy(), FAREWELL);
  };
  const turnAway = ({ code, description }: Turned) => {
    socket.write(connection.refuse(code, description));
    end(null);
  };

  const take = (bytes: Buffer) => {
    for (const event of connection.push(bytes)) {
      switch (event.kind) {
        case 'send':
          socket.write(event.bytes);
          break;
        case 'publish': {
          const turned = handlers.publish(event.app, event.name);
          if (turned) return turnAway(turned);
          socket.write(connection.accept());
          accepted = true;
          clearTimeout(settle);
          break;
        }
        case 'tag': {
          const turned = handlers.tag(event.tag);
          if (turned) return turnAway(turned);
          break;
        }
        case 'unpublish':
          leave();
          settle = wait();
          break;
      }
    }
    if (socket.writableLength > MOST_UNREAD) end('it does not read what it is told');
  };

  socket.setNoDelay(true);
  socket.setTimeout(times.silent, () => {
    end('nothing came from it any more');
    socket.destroy();
  });
  socket.on('data', (bytes) => {
    if (over) return;
    try {
      take(bytes);
    } catch (failure) {
      if (!(failure instanceof RtmpError)) throw failure;
      end(failure.message);
    }
  });
  socket.on('error', () => {}); // 'close' follows.
  socket.on('close', () => {
    clearTimeout(settle);
    clearTimeout(farewell);
    over = true;
    leave();
    handlers.closed(reason);
  });

  return {
    close: (why = null) => {
      end(why);
      socket.destroy();
    },
  };
}
