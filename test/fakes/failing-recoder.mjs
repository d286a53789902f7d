// The product's own recoder thread, which fails at its first work after it has encoded some pictures, as
// `LIVEDUB_TEST_RECODER` says: `dies`, `hangs`, or neither. The variable is read when the thread starts.
import { parentPort } from 'node:worker_threads';
import '../../dist/media/recoder-thread.js';

const how = process.env['LIVEDUB_TEST_RECODER'];
const PICTURES = 12;
let encoded = 0;
parentPort.on('message', ({ type, patches }) => {
  if (type === 'unit' && patches) encoded += 1;
  if (encoded < PICTURES) return;
  if (how === 'dies') process.exit(7);
  if (how === 'hangs') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});
