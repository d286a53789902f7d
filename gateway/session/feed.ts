import { once } from 'node:events';
import { type AddressInfo, type Socket, createServer } from 'node:net';
import type { Scope } from '../../media/scope.ts';

/** The bytes of one publisher. They end where the publisher ends, or breaks off. */
export interface FeedBytes extends AsyncIterable<Uint8Array> {
  /** Wants no more of it. */
  close(): void;
}

/** What says to the gateway that somebody reads. */
const READING = Uint8Array.of(1);

/**
 * Where a session process takes what is published to the gateway: a TCP port of this machine that the gateway connects to, once
 * for each publisher and each reading. A connection stands by, silent, until somebody asks for it.
 */
export class Feed {
  readonly port: number;
  readonly #scope: Scope;
  #standing: Socket | undefined;
  /** Whether the gateway knows that somebody reads what stands by. */
  #told = false;
  #wake: (() => void) | undefined;

  private constructor(port: number, scope: Scope) {
    this.port = port;
    this.#scope = scope;
  }

  static async open(scope: Scope): Promise<Feed> {
    const server = createServer({ noDelay: true });
    const sockets = new Set<Socket>();
    scope.defer(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening', { signal: scope.signal });
    const feed = new Feed((server.address() as AddressInfo).port, scope);
    server.on('connection', (socket) => {
      sockets.add(socket);
      socket.on('error', () => {}); // 'close' follows.
      socket.on('close', () => sockets.delete(socket));
      feed.#stand(socket);
    });
    scope.signal.addEventListener('abort', () => feed.#wake?.(), { once: true });
    return feed;
  }

  /** Waits for the next publisher, or for the present one's next key frame. @throws the reason of the signal, or the scope's */
  async next(signal: AbortSignal): Promise<FeedBytes> {
    if (this.#wake) throw new TypeError('Cannot wait for the next publisher twice at once');
    const wake = () => this.#wake?.();
    signal.addEventListener('abort', wake, { once: true });
    try {
      for (;;) {
        signal.throwIfAborted();
        this.#scope.signal.throwIfAborted();
        const socket = this.#standing;
        if (socket && !this.#told) {
          this.#told = true;
          socket.write(READING);
        }
        const first = socket?.read() as Buffer | null | undefined;
        if (socket && first) {
          this.#standing = undefined;
          socket.removeAllListeners('readable');
          return bytesOf(socket, first);
        }
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      this.#wake = undefined;
      signal.removeEventListener('abort', wake);
    }
  }

  /** The newest connection is the gateway's present one. */
  #stand(socket: Socket): void {
    this.#standing?.destroy();
    this.#standing = socket;
    this.#told = false;
    const wake = () => this.#wake?.();
    socket.on('readable', wake);
    socket.on('close', () => {
      if (this.#standing === socket) this.#standing = undefined;
      wake();
    });
    wake();
  }
}

function bytesOf(socket: Socket, first: Buffer): FeedBytes {
  return {
    close: () => void socket.destroy(),
    async *[Symbol.asyncIterator]() {
      try {
        yield first;
        for await (const bytes of socket) yield bytes as Buffer;
      } catch {
        // The gateway broke off: nothing more comes, as at an orderly end.
      } finally {
        socket.destroy();
      }
    },
  };
}
