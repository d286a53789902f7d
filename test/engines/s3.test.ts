import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { upload } from '../../gateway/outlet/s3.ts';

/** s3rver's program: `npm install s3rver` somewhere, and where that is in LIVEDUB_S3RVER. It is no dependency of ours. */
const program = join(process.env['LIVEDUB_S3RVER'] ?? '/nowhere', 'node_modules/s3rver/bin/s3rver.js');
const why = existsSync(program) ? undefined : 'no S3 server: npm install s3rver elsewhere, and LIVEDUB_S3RVER';
/** The keys that it knows. */
const KEYS = { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' };

let server: ChildProcess;
let endpoint = '';
const folder = mkdtempSync(join(tmpdir(), 'livedub-s3-'));
beforeAll(async () => {
  if (why) return;
  const args = ['-d', join(folder, 'data'), '-p', '0', '-a', '127.0.0.1', '--configure-bucket', 'tapes'];
  server = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
  endpoint = await new Promise<string>((listening, failed) => {
    let said = '';
    server.on('exit', () => failed(new Error(`s3rver ended: ${said}`)));
    server.stdout!.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      const port = /listening on [\d.]+:(\d+)/.exec(said)?.[1];
      if (port) listening(`http://127.0.0.1:${port}`);
    });
  });
});
afterAll(async () => {
  if (server?.exitCode === null) {
    const exited = once(server, 'exit');
    server.kill('SIGKILL');
    await exited;
  }
  rmSync(folder, { recursive: true });
});

/** What lies there under a name, read by an address that is signed by hand (AWS Signature Version 4, query). */
async function there(key: string) {
  const date = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const scope = `${date.slice(0, 8)}/us-east-1/s3/aws4_request`;
  const path = `/tapes/${key}`;
  const query = new URLSearchParams({
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${KEYS.accessKeyId}/${scope}`,
    'X-Amz-Date': date,
    'X-Amz-Expires': '60',
    'X-Amz-SignedHeaders': 'host',
  }).toString();
  const request = ['GET', path, query, `host:${new URL(endpoint).host}`, '', 'host', 'UNSIGNED-PAYLOAD'].join('\n');
  const digest = createHash('sha256').update(request).digest('hex');
  const mac = (by: string | Buffer, text: string) => createHmac('sha256', by).update(text).digest();
  const signing = scope.split('/').reduce<string | Buffer>((by, part) => mac(by, part), `AWS4${KEYS.secretAccessKey}`);
  const signature = mac(signing, ['AWS4-HMAC-SHA256', date, scope, digest].join('\n')).toString('hex');
  const answer = await fetch(`${endpoint}${path}?${query}&X-Amz-Signature=${signature}`);
  return { status: answer.status, bytes: Buffer.from(await answer.arrayBuffer()) };
}

describe.skipIf(why)(`uploads to an S3 server that is not ours (${why ?? 's3rver'})`, () => {
  const put = (name: string, length: number) => {
    const data = Buffer.from(Uint8Array.from({ length }, (_, n) => (n * 31) % 253));
    writeFileSync(join(folder, name), data);
    return data;
  };
  const place = () => ({ endpoint, region: 'us-east-1', bucket: 'tapes' });
  const { signal } = new AbortController();

  test.for([
    ['small.vtt', 5_000],
    ['large.mp4', 20_000_000],
  ] as const)('%s of %d bytes is there as it was', async ([name, length]) => {
    const data = put(name, length);
    expect(await upload(join(folder, name), `live/${name}`, place(), KEYS, signal)).toMatch(/[0-9a-f]{32}/);
    const found = await there(`live/${name}`);
    expect(found.status).toBe(200);
    expect(found.bytes.equals(data)).toBe(true);
  });

  test('one that is broken off leaves nothing', async () => {
    put('b.mp4', 20_000_000);
    const path = join(folder, 'b.mp4');
    await expect(upload(path, 'b.mp4', place(), KEYS, AbortSignal.abort())).rejects.toThrow();
    expect((await there('b.mp4')).status).toBe(404);
  });
});
