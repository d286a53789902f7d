import { expect, test } from 'vitest';
import { Mailbox } from '../../media/mailbox.ts';

const drain = async <T>(box: Mailbox<T>) => {
  const out: T[] = [];
  for await (const item of box) out.push(item);
  return out;
};

test.for([
  ['drop-oldest', [3, 4, 5]],
  ['drop-newest', [1, 2, 3]],
  ['keep-latest', [5]],
] as const)('a full mailbox: %s keeps %j', async ([overflow, kept]) => {
  const box = new Mailbox<number>(3, overflow);
  for (const n of [1, 2, 3, 4, 5]) box.put(n);
  box.end();
  expect(await drain(box)).toEqual(kept);
  expect(box.dropped).toBe(5 - kept.length);
});

test('delivers to a waiting consumer, then ends', async () => {
  const box = new Mailbox<string>(1);
  const got = drain(box);
  box.put('a');
  await new Promise((r) => setImmediate(r));
  box.put('b');
  await new Promise((r) => setImmediate(r));
  box.end();
  expect(await got).toEqual(['a', 'b']);
});

test('breaking out of the loop closes the mailbox', async () => {
  const box = new Mailbox<number>(4);
  box.put(1);
  box.put(2);
  for await (const n of box) {
    expect(n).toBe(1);
    break;
  }
  box.put(3);
  expect(box.size).toBe(0);
});
