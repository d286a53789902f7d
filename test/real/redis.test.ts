import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { silent } from '../../gateway/log.ts';
import type { SessionView } from '../../gateway/protocol.ts';
import type { Gateway } from '../../gateway/serve.ts';
import { ask, eventually, openGateway } from '../fakes/gateway.ts';

const REDIS = '/usr/bin/redis-server';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

interface List {
  readonly sessions: SessionView[];
  readonly elsewhere: { readonly url: string; readonly session: SessionView }[];
}

describe.skipIf(!existsSync(REDIS))('two gateways that share a Redis (apt-get install redis-server)', () => {
  let port: number;
  let redis: ChildProcess;
  let gateways: Gateway[] = [];
  const start = async () => {
    redis = spawn(REDIS, ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', tmpdir()], {
      stdio: 'ignore',
    });
    await once(redis, 'spawn');
  };
  const stop = async () => {
    const gone = once(redis, 'exit');
    redis.kill('SIGKILL');
    await gone;
  };
  const registry = async (gateway: Gateway) =>
    (await ask<{ registry: string }>(gateway, 'GET', '/readyz')).body.registry;
  const elsewhere = async (gateway: Gateway) =>
    (await ask<List>(gateway, 'GET', '/v1/sessions?all=true')).body.elsewhere;

  beforeAll(async () => {
    port = await freePort();
    await start();
    const config = { redis: { url: `redis://127.0.0.1:${port}` } };
    const parts = { log: silent, heartbeat: 100 };
    gateways = await Promise.all([openGateway(config, parts), openGateway(config, parts)]);
  });
  afterAll(async () => {
    await Promise.all(gateways.map((gateway) => gateway.close()));
    await stop();
  });

  test('list each other’s sessions, and go on alone while it is away', async () => {
    const [one, other] = gateways as [Gateway, Gateway];
    const { body: session } = await ask(one, 'POST', '/v1/sessions', { name: 'here' });
    const [entry] = await eventually(async () => {
      const found = await elsewhere(other);
      return found.length > 0 && found;
    }, 'the other sees it');
    expect(entry).toMatchObject({ url: one.url, session: { id: session.id, name: 'here' } });
    expect(await elsewhere(one)).toEqual([]);
    expect(await registry(one)).toBe('up');

    await stop();
    await eventually(async () => (await registry(one)) === 'down', 'its absence is noticed');
    const at = performance.now();
    const alone = await ask<List>(one, 'GET', '/v1/sessions?all=true');
    expect(alone.status).toBe(200);
    expect(performance.now() - at).toBeLessThan(1_500);
    expect(alone.body).toMatchObject({ sessions: [{ id: session.id }], elsewhere: [] });
    expect((await ask(one, 'POST', '/v1/sessions', {})).status).toBe(201);
    expect((await ask(one, 'GET', '/readyz')).status).toBe(200);

    await start();
    await eventually(async () => (await elsewhere(other)).length === 2, 'both are seen again', 20_000);
    expect(await registry(one)).toBe('up');

    await one.close();
    await eventually(async () => (await elsewhere(other)).length === 0, 'a gateway that goes takes its sessions along');
  });
});
