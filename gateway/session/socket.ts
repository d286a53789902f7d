import { type RemoteInfo, type Socket, createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { Scope } from '../../media/scope.ts';

/** A burst of a key frame or of a replayed backlog must fit: the kernel drops what does not. */
const BUFFER = 4 * 1024 * 1024;

/** One UDP port on loopback that media comes in or goes out by. Errors of single datagrams are counted, never thrown. */
export class MediaSocket {
  readonly port: number;
  readonly #socket: Socket;
  #failed = 0;

  private constructor(socket: Socket, port: number) {
    this.#socket = socket;
    this.port = port;
    socket.on('error', () => (this.#failed += 1));
  }

  /** @param port 0 lets the system choose */
  static async open(port: number, scope: Scope): Promise<MediaSocket> {
    const socket = createSocket({ type: 'udp4' });
    scope.defer(() => new Promise<void>((closed) => socket.close(closed)));
    socket.bind(port, '127.0.0.1');
    await once(socket, 'listening');
    try {
      socket.setRecvBufferSize(BUFFER);
      socket.setSendBufferSize(BUFFER);
    } catch {
      // The system's limit is lower; it has already given what it allows.
    }
    return new MediaSocket(socket, socket.address().port);
  }

  /** Datagrams that could not be sent. */
  get failed(): number {
    return this.#failed;
  }

  receive(datagram: (data: Buffer, from: RemoteInfo) => void): void {
    this.#socket.on('message', datagram);
  }

  send(data: Uint8Array, to: { readonly address: string; readonly port: number }): void {
    this.#socket.send(data, to.port, to.address, (failure) => {
      if (failure) this.#failed += 1;
    });
  }
}
