import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PacketRing } from '../../gateway/packet-ring.ts';
import { Relay } from '../../gateway/relay.ts';
import { ON_THE_WAY, RECEIPT_EVERY, readReceipt, writeReceipt } from '../../gateway/session/receipt.ts';
import { ManualClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { type ClockTime, ms, seconds } from '../../media/time.ts';

const at = (micros: number) => micros as ClockTime;
const packet = (n: number, size = 10) => Uint8Array.from({ length: size }, () => n & 255);

describe('the ring', () => {
  test('keeps what is younger than its span', () => {
    const ring = new PacketRing({ span: ms(10), bytes: 1_000 });
    for (let n = 0; n < 5; n += 1) ring.push(packet(n), at(n * 5_000));
    expect([ring.first, ring.end, ring.bytes]).toEqual([2, 5, 30]);
    expect(ring.at(1)).toBeUndefined();
    expect(ring.at(2)?.[0]).toBe(2);
    expect(ring.at(5)).toBeUndefined();
  });

  test('keeps no more than its bytes, not even a datagram larger than that', () => {
    const ring = new PacketRing({ span: seconds(10), bytes: 25 });
    for (let n = 0; n < 4; n += 1) ring.push(packet(n), at(n));
    expect([ring.first, ring.end, ring.bytes]).toEqual([2, 4, 20]);
    ring.push(packet(9, 26), at(5));
    expect([ring.first, ring.end, ring.bytes]).toEqual([5, 5, 0]);
    ring.push(packet(7), at(6));
    expect(ring.at(5)?.[0]).toBe(7);
  });

  test('whatever comes: numbers stay, bounds hold, nothing is lost that fits', () => {
    const arrivals = fc.array(fc.record({ wait: fc.nat(5_000), size: fc.integer({ min: 1, max: 50 }) }), {
      maxLength: 3_000,
    });
    fc.assert(
      fc.property(arrivals, (all) => {
        const ring = new PacketRing({ span: ms(20), bytes: 400 });
        const kept: { n: number; size: number; time: number }[] = [];
        let time = 0;
        all.forEach(({ wait, size }, n) => {
          time += wait;
          ring.push(packet(n, size), at(time));
          kept.push({ n, size, time });
          while (
            kept.length > 0 &&
            (time - kept[0]!.time > 20_000 || kept.reduce((sum, each) => sum + each.size, 0) > 400)
          )
            kept.shift();
          if (ring.end !== n + 1) throw new Error(`end is ${ring.end} after ${n + 1}`);
          if (ring.end - ring.first !== kept.length)
            throw new Error(`keeps ${ring.end - ring.first}, not ${kept.length}`);
        });
        for (const { n, size } of kept) {
          expect(ring.at(n)).toHaveLength(size);
          expect(ring.at(n)?.[0]).toBe(n & 255);
        }
      }),
      { numRuns: 50 },
    );
  });
});

/** A port with what came to it, which it gives receipts for unless told not to. */
async function port(
  scope: Scope,
  receipts = true,
): Promise<{ socket: Socket; port: number; got: number[]; wait: (count: number) => Promise<void> }> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 22 }).bind(0, '127.0.0.1');
  await once(socket, 'listening');
  scope.defer(() => socket.close());
  const got: number[] = [];
  socket.on('message', (data, from) => {
    got.push(data.readUInt32BE(0));
    if (receipts && got.length % RECEIPT_EVERY === 0) socket.send(writeReceipt(got.length), from.port, '127.0.0.1');
  });
  const wait = async (count: number) => {
    for (let i = 0; got.length < count && i < 500; i += 1) await new Promise((wake) => setTimeout(wake, 5));
  };
  return { socket, port: socket.address().port, got, wait };
}
const numbered = (n: number) => {
  const data = Buffer.alloc(100);
  data.writeUInt32BE(n, 0);
  return data;
};
async function relayed(scope: Scope, options = { span: seconds(5), bytes: 1_000_000 }) {
  const clock = new ManualClock();
  const relay = await Relay.open(options, clock, scope);
  const [sfu, session] = [await port(scope), await port(scope)];
  relay.from(sfu.port);
  const feed = async (from: number, to: number) => {
    const before = relay.counts.packets;
    for (let n = from; n < to; n += 1) {
      sfu.socket.send(numbered(n), relay.port, '127.0.0.1');
      if (n % 50 === 49) await new Promise((wake) => setTimeout(wake, 1));
    }
    for (let i = 0; relay.counts.packets < before + to - from && i < 500; i += 1)
      await new Promise((wake) => setTimeout(wake, 5));
  };
  return { relay, clock, sfu, session, feed };
}
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

describe('the relay', () => {
  test('hands on what comes from the SFU, in order, and the answers back', async () => {
    await using scope = new Scope('test');
    const { relay, sfu, session, feed } = await relayed(scope);
    relay.to(session.port);
    relay.resume();
    await feed(0, 20);
    await session.wait(20);
    expect(session.got).toEqual(range(0, 20));
    session.socket.send(numbered(99), relay.port, '127.0.0.1');
    await sfu.wait(1);
    expect(sfu.got).toEqual([99]);
  });

  test('a successor gets everything that is kept, then what comes live, each once and in order', async () => {
    await using scope = new Scope('test');
    const { relay, session, feed } = await relayed(scope);
    relay.to(session.port);
    relay.resume();
    await feed(0, 300);
    await session.wait(300);
    relay.pause();
    await feed(300, 900);
    const next = await port(scope);
    relay.to(next.port);
    relay.rewind();
    relay.resume();
    await feed(900, 1_000);
    await next.wait(1_000);
    expect(next.got).toEqual(range(0, 1_000));
    expect(session.got.at(-1)).toBe(299);
    expect(relay.counts).toMatchObject({ packets: 1_000, bytes: 100_000, dropped: 0, failed: 0 });
  });

  test('a successor that is busy gets no more than its socket holds, and the rest when it is back', async () => {
    await using scope = new Scope('test');
    const { relay, session, feed } = await relayed(scope);
    const busy = await port(scope, false);
    relay.to(busy.port);
    await feed(0, 600);
    relay.resume();
    await busy.wait(ON_THE_WAY);
    await new Promise((wake) => setTimeout(wake, 50));
    expect(busy.got).toEqual(range(0, ON_THE_WAY));
    busy.socket.send(writeReceipt(RECEIPT_EVERY), relay.port, '127.0.0.1');
    await busy.wait(ON_THE_WAY + RECEIPT_EVERY);
    expect(busy.got).toEqual(range(0, ON_THE_WAY + RECEIPT_EVERY));
    // Without receipts it goes on as well, for they may be lost.
    await busy.wait(2 * ON_THE_WAY);
    expect(busy.got.length).toBeGreaterThanOrEqual(2 * ON_THE_WAY);
    relay.to(session.port);
    relay.rewind();
    relay.resume();
    await session.wait(600);
    expect(session.got).toEqual(range(0, 600));
  });

  test('a receipt is neither RTP nor RTCP', () => {
    expect(readReceipt(writeReceipt(4_000_000_000))).toBe(4_000_000_000);
    expect(readReceipt(numbered(7))).toBeUndefined();
    expect(writeReceipt(1)[0]! >> 6).not.toBe(2);
  });

  test('a pause loses nothing', async () => {
    await using scope = new Scope('test');
    const { relay, session, feed } = await relayed(scope);
    relay.to(session.port);
    relay.resume();
    await feed(0, 10);
    relay.pause();
    await feed(10, 20);
    relay.resume();
    await session.wait(20);
    expect(session.got).toEqual(range(0, 20));
  });

  test('what waited for longer than it is kept is counted as dropped', async () => {
    await using scope = new Scope('test');
    const { relay, clock, session, feed } = await relayed(scope);
    relay.to(session.port);
    await feed(0, 10);
    await clock.advance(seconds(6));
    await feed(10, 12);
    relay.resume();
    await session.wait(2);
    expect(session.got).toEqual([10, 11]);
    expect(relay.counts.dropped).toBe(10);
    expect(relay.kept).toEqual({ packets: 2, bytes: 200 });
  });

  test('takes nothing from strangers', async () => {
    await using scope = new Scope('test');
    const { relay, session } = await relayed(scope);
    relay.to(session.port);
    relay.resume();
    const stranger = await port(scope);
    stranger.socket.send(numbered(1), relay.port, '127.0.0.1');
    for (let i = 0; relay.counts.strangers === 0 && i < 200; i += 1) await new Promise((wake) => setTimeout(wake, 5));
    expect(relay.counts).toMatchObject({ strangers: 1, packets: 0 });
    expect(session.got).toEqual([]);
  });

  test('cannot hand on to nowhere', async () => {
    await using scope = new Scope('test');
    const { relay } = await relayed(scope);
    expect(() => relay.resume()).toThrow(TypeError);
  });
});
