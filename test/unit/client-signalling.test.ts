import { describe, expect, test } from 'vitest';
import { backoff } from '../../client/backoff.ts';
import type { Failure } from '../../client/failure.ts';
import { type Link, Signalling, type Socket } from '../../client/signalling.ts';
import { CLOSE, type Event } from '../../gateway/protocol.ts';

/** The gateway's end, worked by the test: sockets in the order they were opened, and waits that pass when told. */
class Wire {
  readonly sockets: (Socket & { sent: { id: number; method: string; data: unknown }[]; closed: boolean })[] = [];
  readonly links: Link[] = [];
  readonly events: Event[] = [];
  readonly waits: { ms: number; then: () => void }[] = [];
  opens = 0;
  exists = true;
  readonly signalling = new Signalling({
    open: () => {
      const socket = {
        onopen: null,
        onmessage: null,
        onclose: null,
        sent: [] as { id: number; method: string; data: unknown }[],
        closed: false,
        send: (text: string) => void socket.sent.push(JSON.parse(text) as (typeof socket.sent)[number]),
        close: () => void (socket.closed = true),
      };
      this.sockets.push(socket);
      return socket;
    },
    onOpen: () => void this.opens++,
    onEvent: (event) => void this.events.push(event),
    onLink: (link) => void this.links.push(link),
    exists: () => Promise.resolve(this.exists),
    after: (ms, then) => {
      const wait = { ms, then };
      this.waits.push(wait);
      return () => void this.waits.splice(this.waits.indexOf(wait) >>> 0, 1);
    },
  });

  get socket() {
    return this.sockets.at(-1)!;
  }

  say(message: unknown): void {
    this.socket.onmessage?.({ data: JSON.stringify(message) });
  }

  /** Lets the longest wait pass. */
  async pass(): Promise<void> {
    this.waits.shift()?.then();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const refused = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (failure: Failure) => failure.error,
  );

describe('requests', () => {
  test('answers find their requests, whatever their order', async () => {
    const wire = new Wire();
    wire.socket.onopen?.();
    const first = wire.signalling.request('pause', { consumerId: 'a' });
    const second = wire.signalling.request('restartIce', { transportId: 't' });
    const [a, b] = wire.socket.sent;
    wire.say({ id: b!.id, ok: true, data: { iceParameters: { usernameFragment: 'x' } } });
    wire.say({ id: a!.id, ok: true, data: {} });
    expect(await Promise.all([first, second])).toEqual([{}, { iceParameters: { usernameFragment: 'x' } }]);
    expect(wire.waits).toHaveLength(0);
  });

  test('a refusal arrives as the gateway put it', async () => {
    const wire = new Wire();
    wire.socket.onopen?.();
    const join = refused(wire.signalling.request('join', { role: 'publisher' }));
    const error = { code: 'conflict', message: 'Somebody already publishes.', field: null, fix: 'Wait.' };
    wire.say({ id: wire.socket.sent[0]!.id, ok: false, error });
    expect(await join).toEqual(error);
  });

  test('no answer in time, a lost socket and a closed page all end a request as unavailable', async () => {
    const wire = new Wire();
    wire.socket.onopen?.();
    const slow = refused(wire.signalling.request('pause', { consumerId: 'a' }));
    await wire.pass();
    expect(await slow).toMatchObject({ code: 'unavailable', message: 'The gateway did not answer "pause" in time.' });
    const cut = refused(wire.signalling.request('pause', { consumerId: 'a' }));
    wire.socket.onclose?.({ code: 1006, reason: '' });
    expect(await cut).toMatchObject({ code: 'unavailable' });
    expect(await refused(wire.signalling.request('pause', { consumerId: 'a' }))).toMatchObject({ code: 'unavailable' });
  });

  test('a gateway that has stopped answering is not asked without end', async () => {
    const wire = new Wire();
    wire.socket.onopen?.();
    const asked = Array.from({ length: 70 }, () => refused(wire.signalling.request('pause', { consumerId: 'a' })));
    expect(wire.socket.sent).toHaveLength(64);
    expect(await asked[69]).toMatchObject({ message: 'The gateway has stopped answering.' });
    wire.signalling.close();
    expect((await Promise.all(asked)).every((error) => error?.code === 'unavailable')).toBe(true);
  });
});

describe('the link', () => {
  test('a lost socket is opened again, and the page joins again', async () => {
    const wire = new Wire();
    wire.socket.onopen?.();
    wire.socket.onclose?.({ code: 1006, reason: '' });
    expect(wire.links.at(-1)).toMatchObject({ state: 'waiting' });
    await wire.pass();
    expect(wire.sockets).toHaveLength(2);
    wire.socket.onopen?.();
    expect(wire.opens).toBe(2);
    expect(wire.signalling.link).toEqual({ state: 'open' });
  });

  test.for([
    [CLOSE.sessionEnded, 'ended'],
    [CLOSE.notFound, 'missing'],
    [CLOSE.policy, 'refused'],
  ] as const)('close code %d is final: %s', ([code, why]) => {
    const wire = new Wire();
    wire.socket.onopen?.();
    wire.socket.onclose?.({ code, reason: 'because' });
    expect(wire.signalling.link).toEqual({ state: 'closed', why, reason: 'because' });
    expect(wire.waits).toHaveLength(0);
  });

  test('a session that is gone is told from a gateway that is down', async () => {
    const wire = new Wire();
    wire.socket.onclose?.({ code: 1006, reason: '' });
    await wire.pass();
    expect(wire.sockets).toHaveLength(2);
    wire.exists = false;
    wire.socket.onclose?.({ code: 1006, reason: '' });
    await wire.pass();
    expect(wire.signalling.link).toMatchObject({ state: 'closed', why: 'missing' });
  });

  test('whoever left is not brought back by a socket that closes late', async () => {
    const wire = new Wire();
    wire.socket.onopen?.();
    const late = wire.socket.onclose;
    wire.signalling.close();
    expect(wire.socket.closed).toBe(true);
    late?.({ code: 1006, reason: '' });
    await wire.pass();
    expect(wire.sockets).toHaveLength(1);
    expect(wire.signalling.link).toMatchObject({ state: 'closed', why: 'left' });
  });
});

test('waits double up to eight seconds and never fall together', () => {
  expect([0, 1, 2, 3, 4, 5, 50].map((attempt) => backoff(attempt, 0.999999))).toEqual([
    300, 600, 1200, 2400, 4800, 8000, 8000,
  ]);
  expect(backoff(3, 0)).toBe(1200);
});
