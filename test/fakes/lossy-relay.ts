import { type RemoteInfo, type Socket, createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { Scope } from '../../media/scope.ts';

export interface LossyRelay {
  /** Where to send instead. */
  readonly port: number;
  /** Datagrams that came, and those of them that were lost. */
  readonly came: number;
  readonly lost: number;
}

/** A network between one caller and a port of this machine: of 1000 datagrams each way, it loses `perMille`, the same ones each time. */
export async function lossyRelay(to: number, perMille: number, scope: Scope): Promise<LossyRelay> {
  const [near, far] = [createSocket('udp4'), createSocket('udp4')];
  for (const socket of [near, far]) {
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    socket.setRecvBufferSize(1 << 20);
    scope.defer(() => new Promise<void>((done) => socket.close(() => done())));
  }
  let [came, lost, seed] = [0, 0, 1];
  const pass = (data: Uint8Array, socket: Socket, port: number) => {
    came += 1;
    // A linear congruential generator (Numerical Recipes).
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    if (seed % 100_000 < perMille * 100) lost += 1;
    else socket.send(data, port, '127.0.0.1');
  };
  let caller: RemoteInfo | undefined;
  near.on('message', (data, from) => {
    caller = from;
    pass(data, far, to);
  });
  far.on('message', (data) => caller && pass(data, near, caller.port));
  return {
    port: near.address().port,
    get came() {
      return came;
    },
    get lost() {
      return lost;
    },
  };
}
