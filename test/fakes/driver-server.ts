import { once } from 'node:events';
import { type IncomingMessage, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import type { Scope } from '../../media/scope.ts';
import { type WebSocket, WebSocketServer } from '../../media/websocket.ts';

/** Ways of a driver server to be of no use, with the kind of the fault that each is. */
export const MISDEEDS = {
  'no hello': 'timeout',
  'garbage for a hello': 'rejected',
  'another version': 'broken',
  'no format of ours': 'broken',
  busy: 'overloaded',
  '401': 'broken',
  '503': 'unavailable',
  silent: 'timeout',
  'wrong size': 'rejected',
  'too few bytes': 'rejected',
  'garbage in bytes': 'rejected',
  'garbage in words': 'rejected',
  'closes politely in the middle': 'unavailable',
  cut: 'unavailable',
  'answers twice': 'rejected',
  'answers what nobody asked': 'rejected',
  'says hello again': 'rejected',
  'wants another client': 'rejected',
  fails: 'unavailable',
} as const;
export type Misdeed = keyof typeof MISDEEDS;

const Begin = z.strictObject({
  type: z.literal('begin'),
  take: z.number().int(),
  width: z.number().int().min(2).max(4096),
  height: z.number().int().min(2).max(4096),
  format: z.enum(['i420', 'rgb24']),
  matrix: z.number().int(),
  range: z.enum(['limited', 'full']),
  samples: z.number().int().min(0),
  soundAt: z.number().int(),
  language: z.string(),
  phonemes: z.array(z.strictObject({ text: z.string(), start: z.number().int(), end: z.number().int() })).optional(),
});
const Word = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('hello'), version: z.literal(1), engine: z.string() }),
  Begin,
  z.strictObject({ type: z.literal('end'), take: z.number().int() }),
]);
export type Begun = z.output<typeof Begin> & { readonly sound: Int16Array; pictures: number; ended: boolean };
interface Shown {
  readonly take: number;
  readonly number: number;
  readonly start: number;
  readonly within: number;
  readonly face: readonly number[];
  readonly landmarks: readonly number[];
  readonly bytes: Buffer;
}

/** A loopback server of the driver protocol as `docs/driver-protocol.md` has it. It paints every crop in one colour. */
export class DriverServer {
  readonly url: string;
  readonly takes: Begun[] = [];
  readonly shown: Shown[] = [];
  /** What the client did that the protocol does not have. */
  readonly complaints: string[] = [];
  misdeed: Misdeed | undefined;
  hello = { engine: 'painter', formats: ['i420', 'rgb24'], credits: 8, chunk: 1, phonemes: true };
  /** Luma of what it paints, or the bytes of red, green and blue alike. */
  paint = 200;
  /** Pictures, by number, that it does not drive. */
  refused: readonly number[] = [];
  /** Pictures, by number, whose answer waits until `release`. */
  held: readonly number[] = [];
  #release: (() => void)[] = [];
  connections = 0;

  private constructor(url: string) {
    this.url = url;
  }

  static async open(scope: Scope): Promise<DriverServer> {
    const http = createServer();
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    const server = new DriverServer(`http://127.0.0.1:${(http.address() as AddressInfo).port}`);
    const sockets = new WebSocketServer({ noServer: true });
    http.on('upgrade', (request: IncomingMessage, stream, head) => {
      const status = server.misdeed === '401' || server.misdeed === '503' ? server.misdeed : undefined;
      if (status !== undefined || request.url !== '/v1/drive') {
        stream.end(`HTTP/1.1 ${status ?? '404'} No\r\nContent-Length: 0\r\n\r\n`);
        return;
      }
      sockets.handleUpgrade(request, stream, head, (socket) => server.#converse(socket));
    });
    scope.defer(() => {
      for (const socket of sockets.clients) socket.terminate();
      http.closeAllConnections();
      http.close();
    });
    return server;
  }

  /** Sends what was held. */
  release(): void {
    for (const each of this.#release.splice(0)) each();
  }

  #converse(socket: WebSocket): void {
    this.connections += 1;
    const open = new Map<number, Begun>();
    const waiting = new Map<number, Shown[]>();
    let outstanding = 0;
    const say = (word: object) => socket.send(JSON.stringify(word));
    socket.on('message', (data: Buffer, binary) => {
      try {
        if (binary) this.#binary(data, open, waiting, () => (outstanding += 1));
        else {
          const word = Word.parse(JSON.parse(data.toString('utf8')));
          if (word.type === 'hello') return this.#greet(socket, say);
          if (word.type === 'begin') {
            const begun = { ...word, sound: new Int16Array(word.samples), pictures: 0, ended: false };
            if (open.has(word.take)) throw new Error('a take was begun twice');
            this.takes.push(begun);
            open.set(word.take, begun);
            waiting.set(word.take, []);
            return;
          }
          const take = open.get(word.take);
          if (!take) throw new Error('a take was ended that was not begun');
          take.ended = true;
          open.delete(word.take);
          for (const each of waiting.get(word.take)!.splice(0)) this.#answer(socket, take, each, say);
          say({ type: 'ended', take: word.take });
          return;
        }
        if (outstanding > this.hello.credits) throw new Error('more pictures came than were granted');
        for (const [number, shown] of waiting) {
          const take = open.get(number);
          if (!take || shown.length < this.hello.chunk) continue;
          // Answers may come in any order.
          for (const each of shown.splice(0).reverse()) {
            outstanding -= 1;
            this.#answer(socket, take, each, say);
          }
        }
      } catch (failure) {
        this.complaints.push(String(failure));
        socket.close(1007);
      }
    });
  }

  #greet(socket: WebSocket, say: (word: object) => void): void {
    const hello = { type: 'hello', version: 1, ...this.hello };
    switch (this.misdeed) {
      case 'no hello':
        return;
      case 'garbage for a hello':
        return void socket.send('{"type": "hel');
      case 'another version':
        say({ type: 'error', code: 'unsupported', message: 'this is version 7' });
        return void socket.close(1002);
      case 'no format of ours':
        return say({ ...hello, formats: ['av1'] });
      case 'busy':
        return say({ type: 'error', code: 'busy', message: '' });
      default:
        say(hello);
    }
  }

  #binary(data: Buffer, open: Map<number, Begun>, waiting: Map<number, Shown[]>, count: () => void): void {
    const take = open.get(data.readUInt32LE(4));
    if (!take) throw new Error('bytes of a take that is not open');
    if (data[0] === 1) {
      const offset = data.readUInt32LE(8);
      const samples = (data.length - 12) / 2;
      if (data[1] !== 1 || offset + samples > take.samples) throw new Error('sound outside of its take');
      for (let n = 0; n < samples; n += 1) take.sound[offset + n] = data.readInt16LE(12 + 2 * n);
      return;
    }
    const points = data.readUInt16LE(2);
    const format = ({ 1: 'rgb24', 2: 'i420' } as const)[data[1] as 1 | 2];
    const size = take.width * take.height * (format === 'rgb24' ? 3 : 1.5);
    const bytes = data.subarray(44 + 8 * points);
    if (data[0] !== 2 || points !== 68 || format !== take.format) throw new Error('a picture of no known kind');
    if (data.readUInt16LE(12) !== take.width || data.readUInt16LE(14) !== take.height || bytes.length !== size) {
      throw new Error('a picture of another size than its take');
    }
    const shown = {
      take: take.take,
      number: data.readUInt32LE(8),
      start: Number(data.readBigInt64LE(16)),
      within: data.readUInt32LE(24),
      face: [0, 1, 2, 3].map((n) => data.readFloatLE(28 + 4 * n)),
      landmarks: Array.from({ length: 2 * points }, (_, n) => data.readFloatLE(44 + 4 * n)),
      bytes,
    };
    if (shown.number !== take.pictures) throw new Error('pictures are not numbered in order');
    take.pictures += 1;
    count();
    this.shown.push(shown);
    waiting.get(take.take)!.push(shown);
  }

  #answer(socket: WebSocket, take: Begun, { number, bytes }: Shown, say: (word: object) => void): void {
    const driven = (width: number, height: number, picture: Uint8Array, asked = number) => {
      const head = Buffer.alloc(16);
      head.set([3, take.format === 'rgb24' ? 1 : 2]);
      head.writeUInt32LE(take.take, 4);
      head.writeUInt32LE(asked, 8);
      head.writeUInt16LE(width, 12);
      head.writeUInt16LE(height, 14);
      return Buffer.concat([head, picture]);
    };
    const painted = Buffer.from(bytes);
    painted.fill(this.paint, 0, take.format === 'rgb24' ? painted.length : take.width * take.height);
    if (take.format === 'i420') painted.fill(128, take.width * take.height);
    const answer = driven(take.width, take.height, painted);
    // Well until the third picture, so that something was there to be lost.
    if (number >= 2) {
      switch (this.misdeed) {
        case 'silent':
          return;
        case 'wrong size': {
          const other = painted.subarray(
            0,
            ((take.width - 2) * take.height * painted.length) / take.width / take.height,
          );
          return void socket.send(driven(take.width - 2, take.height, other));
        }
        case 'too few bytes':
          return void socket.send(answer.subarray(0, -1));
        case 'garbage in bytes':
          return void socket.send(Buffer.from([9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]));
        case 'garbage in words':
          return void socket.send('Hello?');
        case 'closes politely in the middle':
          return void socket.close(1000);
        case 'cut':
          return void socket.terminate();
        case 'answers twice':
          socket.send(answer);
          return void socket.send(answer);
        case 'answers what nobody asked':
          return void socket.send(driven(take.width, take.height, painted, 4_000));
        case 'says hello again':
          return say({ type: 'hello', version: 1, ...this.hello });
        case 'wants another client':
          return say({ type: 'error', code: 'invalid', message: 'No to all of it' });
        case 'fails':
          return say({ type: 'error', code: 'failed', message: 'out of memory' });
        default:
      }
    }
    const send = () => {
      if (this.refused.includes(number)) say({ type: 'none', take: take.take, number, reason: 'no-face' });
      else socket.send(answer);
      say({ type: 'credit', count: 1 });
    };
    if (this.held.includes(number)) this.#release.push(send);
    else send();
  }
}
