import { once } from 'node:events';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ms, seconds } from '../../media/time.ts';
import { SocketLost, SocketRefused, type WebSocket, WebSocketServer, connect } from '../../media/websocket.ts';

let http: Server;
let sockets: WebSocketServer;
let url: URL;
let greet: (socket: WebSocket) => void;
beforeEach(async () => {
  greet = () => {};
  http = createServer();
  sockets = new WebSocketServer({ server: http });
  sockets.on('connection', (socket) => greet(socket));
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  url = new URL(`ws://127.0.0.1:${(http.address() as AddressInfo).port}/`);
});
afterEach(() => {
  for (const socket of sockets.clients) socket.terminate();
  http.closeAllConnections();
  http.close();
});
const open = (signal = new AbortController().signal) => connect(url, { timeout: seconds(2), signal });
const heard = async (messages: AsyncIterable<string | Uint8Array>) => {
  const all: (string | number[])[] = [];
  for await (const message of messages) all.push(typeof message === 'string' ? message : [...message]);
  return all;
};

test('a socket says and hears texts and bytes in order, and ends when the server closes it', async () => {
  greet = (socket) =>
    socket.on('message', (data: Buffer, binary) => {
      socket.send(data, { binary });
      if (binary) socket.close(1000);
    });
  await using socket = await open();
  await socket.send('one');
  await socket.send(Uint8Array.of(1, 2, 3));
  expect(await heard(socket.messages)).toEqual(['one', [1, 2, 3]]);
  await expect(socket.send('late')).rejects.toBeInstanceOf(SocketLost);
});

test('a socket that is cut, or closed for a reason, is lost', async () => {
  greet = (socket) => socket.terminate();
  const cut = await open();
  await expect(heard(cut.messages)).rejects.toMatchObject({ name: 'SocketLost', code: 1006 });
  greet = (socket) => socket.close(1008, 'no');
  const closed = await open();
  await expect(heard(closed.messages)).rejects.toMatchObject({ code: 1008, reason: 'no' });
});

test('a server that opens no socket says why', async () => {
  const other = createServer();
  other.on('upgrade', (_request, stream) =>
    stream.end('HTTP/1.1 429 No\r\nRetry-After: 5\r\nContent-Length: 4\r\n\r\nbusy'),
  );
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  url = new URL(`ws://127.0.0.1:${(other.address() as AddressInfo).port}/`);
  const refused = await open().catch((thrown: unknown) => thrown);
  expect(refused).toBeInstanceOf(SocketRefused);
  expect(refused).toMatchObject({ status: 429, body: 'busy' });
  expect((refused as SocketRefused).headers.get('retry-after')).toBe('5');
  other.close();
  await expect(open()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

test('an abort cuts a socket at once, before it is open and after', async () => {
  const silent = createServer();
  silent.on('upgrade', () => {});
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const there = url;
  url = new URL(`ws://127.0.0.1:${(silent.address() as AddressInfo).port}/`);
  const early = new AbortController();
  const opening = open(early.signal);
  setTimeout(() => early.abort(new Error('enough')), 20);
  await expect(opening).rejects.toThrow('enough');
  await expect(connect(url, { timeout: ms(50), signal: new AbortController().signal })).rejects.toThrow(/timed out/);
  silent.closeAllConnections();
  silent.close();

  url = there;
  const abort = new AbortController();
  const socket = await open(abort.signal);
  setTimeout(() => abort.abort(new Error('enough')), 20);
  await expect(heard(socket.messages)).rejects.toThrow('enough');
});

test('a server that says more than is heard has to wait', async () => {
  let unsent = 0;
  greet = (socket) => {
    for (let n = 0; n < 400; n += 1) socket.send(Buffer.alloc(65_536, n));
    unsent = socket.bufferedAmount;
    const timer = setInterval(() => (unsent = socket.bufferedAmount), 10);
    socket.on('close', () => clearInterval(timer));
    socket.once('message', () => socket.close(1000));
  };
  const socket = await open();
  let before = -1;
  while (before !== unsent) {
    before = unsent;
    await sleep(100);
  }
  // 26 MB were said; the system's buffers hold some, and we hold one.
  expect(unsent).toBeGreaterThan(10e6);
  await socket.send('close');
  let length = 0;
  for await (const message of socket.messages) length += message.length;
  expect(length).toBe(400 * 65_536);
});
