import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RecordingView } from '../../gateway/protocol.ts';
import type { Manifest } from '../../gateway/recordings.ts';
import type { Gateway } from '../../gateway/serve.ts';
import { ask, openGateway, refused } from '../fakes/gateway.ts';

const TOKEN = 'a-token-of-the-gateway';
const bearer = { authorization: `Bearer ${TOKEN}` };
const data = Uint8Array.from({ length: 200_000 }, (_, n) => (n * 7) % 251);
let gateway: Gateway;
let directory: string;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'livedub-shelf-'));
  gateway = await openGateway({ recordings: { directory }, auth: { token: TOKEN } });
});
afterAll(async () => {
  await gateway.close();
  rmSync(directory, { recursive: true });
});

function put(name: string, started: string) {
  const pictures = {
    poster: `${name}.poster.jpg`,
    storyboard: `${name}.storyboard.vtt`,
    sheet: `${name}.storyboard.jpg`,
  };
  const manifest: Manifest = {
    ...{ made: 'livedub', session: 's', name: `Of ${name}`, languages: ['en', 'es'], started, seconds: 61 },
    ...{
      files: [`${name}.mp4`, ...Object.values(pictures)],
      pictures,
      bytes: data.length,
      finished: true,
      uploaded: null,
    },
  };
  for (const file of manifest.files) writeFileSync(join(directory, file), data);
  writeFileSync(join(directory, `${name}.json`), JSON.stringify(manifest));
}
const list = async () =>
  (await ask<{ recordings: RecordingView[] }>(gateway, 'GET', '/v1/recordings', undefined, bearer)).body.recordings;
const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
  fetch(new URL(path, gateway.url), { headers, method });
const bytes = async (answer: Response) => new Uint8Array(await answer.arrayBuffer());

describe('recordings over HTTP', () => {
  test('are listed for whoever has the token, the newest first', async () => {
    put('talk (2)', '2026-03-02T12:00:00.000Z');
    put('talk', '2026-03-01T12:00:00.000Z');
    expect((await refused(gateway, 'GET', '/v1/recordings')).status).toBe(401);
    const found = await list();
    expect(found.map(({ name, title, languages }) => [name, title, languages])).toEqual([
      ['talk (2)', 'Of talk (2)', ['en', 'es']],
      ['talk', 'Of talk', ['en', 'es']],
    ]);
  });

  test('are downloaded whole, in parts, and not again when nothing has changed', async () => {
    put('talk', '2026-03-01T12:00:00.000Z');
    const { url } = (await list()).find(({ name }) => name === 'talk')!;
    const whole = await get(url);
    expect([whole.status, whole.headers.get('content-type')]).toEqual([200, 'video/mp4']);
    expect([whole.headers.get('accept-ranges'), whole.headers.get('content-length')]).toEqual(['bytes', '200000']);
    expect(await bytes(whole)).toEqual(data);
    const etag = whole.headers.get('etag')!;
    const part = await get(url, { range: 'bytes=1000-1999', 'if-range': etag });
    expect([part.status, part.headers.get('content-range')]).toEqual([206, 'bytes 1000-1999/200000']);
    expect(await bytes(part)).toEqual(data.subarray(1_000, 2_000));
    expect(await bytes(await get(url, { range: 'bytes=-5' }))).toEqual(data.subarray(-5));
    const other = await get(url, { range: 'bytes=1000-1999', 'if-range': '"older"' });
    expect([other.status, (await bytes(other)).length]).toEqual([200, data.length]);
    const behind = await get(url, { range: 'bytes=200000-' });
    expect([behind.status, behind.headers.get('content-range')]).toEqual([416, 'bytes */200000']);
    expect((await get(url, { 'if-none-match': etag })).status).toBe(304);
    const head = await get(url, {}, 'HEAD');
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '200000']);
  });

  test('have pictures, whose list names the sheet beside it', async () => {
    put('talk (2)', '2026-03-02T12:00:00.000Z');
    const { poster, storyboard } = (await list())[0]!;
    expect((await get(poster!)).headers.get('content-type')).toBe('image/jpeg');
    expect((await get(storyboard!)).headers.get('content-type')).toContain('text/vtt');
    const sheet = new URL(encodeURIComponent('talk (2).storyboard.jpg'), new URL(storyboard!, gateway.url));
    expect((await fetch(sheet)).status).toBe(200);
  });

  test('are not had without the key or the token, nor is anything else beside them', async () => {
    put('talk', '2026-03-01T12:00:00.000Z');
    writeFileSync(join(directory, 'secret.mp4'), 'mine');
    const { url } = (await list()).find(({ name }) => name === 'talk')!;
    const [, , , , key = ''] = url.split('/');
    expect((await get('/v1/recordings/talk/-/talk.mp4')).status).toBe(401);
    expect((await get('/v1/recordings/talk/-/talk.mp4', bearer)).status).toBe(200);
    for (const file of ['secret.mp4', 'talk.json', '..%2Fsecret.mp4', '.'])
      expect([404, 401]).toContain((await get(`/v1/recordings/talk/${key}/${file}`)).status);
    expect((await get(`/v1/recordings/talk%20(2)/${key}/talk.mp4`)).status).toBe(401);
  });

  test('are deleted by whoever has the token', async () => {
    put('gone', '2026-03-01T12:00:00.000Z');
    expect((await refused(gateway, 'DELETE', '/v1/recordings/gone')).status).toBe(401);
    expect((await ask(gateway, 'DELETE', '/v1/recordings/gone', undefined, bearer)).status).toBe(204);
    for (const name of ['gone.mp4', 'gone.json', 'gone.poster.jpg'])
      expect(existsSync(join(directory, name))).toBe(false);
    expect((await refused(gateway, 'DELETE', '/v1/recordings/gone', undefined, bearer)).status).toBe(404);
    expect((await refused(gateway, 'DELETE', '/v1/recordings/..%2fgone', undefined, bearer)).status).toBe(404);
  });
});
