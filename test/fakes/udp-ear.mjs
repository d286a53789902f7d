// Listens on a UDP port, which it says first, and passes on what comes with the time of its arrival, ms since 1970.
import { createSocket } from 'node:dgram';
import { parentPort } from 'node:worker_threads';

const socket = createSocket('udp4');
socket.on('message', (data) => {
  const copy = new Uint8Array(data);
  parentPort.postMessage({ data: copy, came: performance.timeOrigin + performance.now() }, [copy.buffer]);
});
socket.bind(0, '127.0.0.1', () => {
  socket.setRecvBufferSize(4 << 20);
  parentPort.postMessage(socket.address().port);
});
