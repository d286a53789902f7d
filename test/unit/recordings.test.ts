import { appendFileSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { ManualClock } from '../../media/clock.ts';
import { MatroskaReader } from '../../media/matroska.ts';
import { clusterSize, matroskaCluster, matroskaHead } from '../../media/matroska-writer.ts';
import { type Span, at, ms, seconds } from '../../media/time.ts';
import { Scope } from '../../media/scope.ts';
import { chaptersOf, ffmetadata } from '../../gateway/outlet/chapters.ts';
import {
  claim,
  isWritten,
  journalOf,
  line,
  readJournal,
  release,
  writer,
} from '../../gateway/outlet/recording-journal.ts';
import { type Manifest, expired, keepRecordings, listRecordings, uploadRecordings } from '../../gateway/recordings.ts';

const root = mkdtempSync(join(tmpdir(), 'livedub-kept-'));
afterAll(() => rmSync(root, { recursive: true }));
const folder = () => mkdtempSync(join(root, 'r-'));

const DAY = 86_400_000;
const made = (name: string, day: number, more: Partial<Manifest> = {}): Manifest => ({
  ...{ made: 'livedub', session: 's', name: 'Talk', files: [`${name}.mp4`], languages: ['es'], seconds: 60 },
  ...{ started: new Date(day * DAY).toISOString(), bytes: 400_000_000, finished: true, uploaded: null, pictures: null },
  ...more,
});
function put(directory: string, manifest: Manifest, data: string | Uint8Array = 'media') {
  for (const name of manifest.files) writeFileSync(join(directory, name), data);
  writeFileSync(join(directory, manifest.files[0]!.replace('.mp4', '.json')), JSON.stringify(manifest));
}
const UPLOADED = { bucket: 'tapes', keys: ['k'], at: new Date(0).toISOString() };

describe('retention', () => {
  const three = [made('c', 3), made('a', 1), made('b', 2)];
  const names = (of: readonly Manifest[]) => of.map(({ files }) => files[0]);
  test('what is older than told goes, counted from its end', () => {
    expect(names(expired(three, { keepDays: 2 }, 4 * DAY))).toEqual(['a.mp4']);
    expect(names(expired(three, { keepDays: 3 }, 4 * DAY))).toEqual([]);
  });
  test('the oldest go while all of them take more than told', () => {
    expect(names(expired(three, { keepGigabytes: 0.8 }, 4 * DAY))).toEqual(['a.mp4']);
    expect(names(expired(three, { keepGigabytes: 0.4 }, 4 * DAY))).toEqual(['a.mp4', 'b.mp4']);
  });
  test('what waits to be uploaded stays', () => {
    const s3 = { region: 'x', bucket: 'tapes', prefix: '', keepLocal: true };
    const some = [made('a', 1), made('b', 2, { uploaded: UPLOADED })];
    expect(names(expired(some, { keepDays: 0.5, s3 }, 9 * DAY))).toEqual(['b.mp4']);
  });
  test('a recording is deleted when its time has come, and nothing that Livedub did not make', async () => {
    const directory = folder();
    put(directory, made('a', 1));
    writeFileSync(join(directory, 'holiday.mp4'), 'mine');
    writeFileSync(join(directory, 'package.json'), '{"name":"x"}');
    writeFileSync(join(directory, 'new.part.mkv'), 'being written');
    const clock = new ManualClock();
    const scope = new Scope('test');
    const date = () => DAY + clock.now() / 1_000;
    keepRecordings({ directory, keepDays: 1 }, { clock, date, complain: () => {} }, scope);
    await clock.advance(seconds(3_600));
    expect(existsSync(join(directory, 'a.mp4'))).toBe(true);
    await expect
      .poll(async () => {
        await clock.advance(seconds(43_200));
        return readdirSync(directory).sort();
      })
      .toEqual(['holiday.mp4', 'new.part.mkv', 'package.json']);
    await scope.close();
  });
  test('a manifest cannot name a file elsewhere', async () => {
    const directory = folder();
    writeFileSync(join(directory, 'evil.json'), JSON.stringify({ ...made('a', 1), files: ['../holiday.mp4'] }));
    expect(await listRecordings(directory)).toEqual([]);
  });
});

describe('chapters', () => {
  const said = (speaker: string, start: number, end: number) => ({
    ...{ id: `${start}`, language: 'en', speaker, text: 'x', draft: false },
    ...{ start: start * 1e6, end: end * 1e6 },
  });
  test('one begins when another person than before speaks for more than a moment', () => {
    const cues = [said('s1', 10, 15), said('s2', 15, 16), said('s1', 17, 22), said('Ann', 30, 34)];
    expect(chaptersOf(cues, at(10e6), seconds(40))).toEqual([
      { start: 0, end: 20e6, title: 'Speaker 1' },
      { start: 20e6, end: 40e6, title: 'Ann' },
    ]);
  });
  test('a name keeps its signs', () => {
    expect(ffmetadata([{ start: 0 as Span, end: 1 as Span, title: 'A=B;#\\' }])).toContain('title=A\\=B\\;\\#\\\\\n');
  });
});

test('a journal that is torn says what it says up to there', () => {
  const begin = {
    type: 'begin',
    host: 'h',
    pid: 1,
    since: null,
    session: 's',
    name: 'n',
    from: 'en',
    format: 'mp4',
  } as const;
  const text = line(begin) + line({ type: 'origin', media: 5, date: 6 });
  fc.assert(
    fc.property(fc.nat(text.length), fc.string(), (cut, more) => {
      const journal = journalOf(text.slice(0, cut) + (cut === text.length ? more : ''));
      expect(journal?.begin).toEqual(cut >= line(begin).length - 1 ? begin : undefined);
    }),
    { endOnFailure: true },
  );
});

describe('a recording whose writer is gone', () => {
  const begun = { session: 's', name: 'n', from: 'en', format: 'mp4', type: 'begin' } as const;
  const dead = { ...writer(), since: '1' };
  const somebody = { ...writer(), pid: process.ppid, since: null };
  const journal = (text: string) => {
    const path = join(folder(), 'a.part.jsonl');
    writeFileSync(path, text);
    return path;
  };
  test('is finished by the first who claims it, also behind a torn line', async () => {
    const path = journal(`${line({ ...begun, ...dead })}{"type":"cu`);
    expect(await claim(path, 0)).toBe(true);
    expect(isWritten((await readJournal(path))!, 0)).toBe(true);
    // The second asks while the first has it.
    expect(await claim(path, 0)).toBe(false);
  });
  test('is left to another process that has claimed it, until that has let go of it', async () => {
    const path = journal(line({ ...begun, ...dead }) + line({ type: 'claim', ...somebody }));
    expect(await claim(path, 0)).toBe(false);
    await release(path);
    expect(await claim(path, 0)).toBe(true);
  });
  test('is left to whoever claimed it at the same time and was quicker', async () => {
    const path = journal(line({ ...begun, ...dead }));
    const [mine] = await Promise.all([
      claim(path, 0),
      // Comes between the look and the claim, or after both.
      readJournal(path).then(() => appendFileSync(path, line({ type: 'claim', ...somebody }))),
    ]);
    const first = (await readJournal(path))!.writers.filter(({ since }) => since !== '1')[0];
    expect(mine).toBe(first?.pid === process.pid);
  });
  test('is left alone while it is written, here or on another machine', async () => {
    expect(await claim(journal(line({ ...begun, ...writer() })), 0)).toBe(false);
    const elsewhere = { ...dead, host: 'elsewhere.example' };
    expect(await claim(journal(line({ ...begun, ...elsewhere })), 1_000)).toBe(false);
    expect(await claim(journal(line({ ...begun, ...elsewhere })), 120_000)).toBe(true);
  });
});

test('what is written as Matroska is read as it was', () => {
  const tracks = [
    {
      ...{ number: 1, language: 'es', title: 'español', preferred: true, header: Uint8Array.of(1) },
      kind: 'audio',
      codec: 'Opus',
      channels: 1,
    } as const,
  ];
  fc.assert(
    fc.property(
      fc.nat(1e11),
      fc.array(fc.tuple(fc.nat(30_000), fc.uint8Array({ maxLength: 300 })), { maxLength: 9 }),
      (start, given) => {
        const begin = Math.round(start / 100) * 100;
        const blocks = given.map(([tick, data]) => ({
          track: 1,
          start: (begin + tick * 100) as Span,
          keyFrame: tick % 2 === 0,
          data,
        }));
        const cluster = matroskaCluster(begin as Span, blocks);
        expect(clusterSize(cluster.subarray(0, 8))).toBe(cluster.byteLength);
        const reader = new MatroskaReader();
        expect(reader.push(matroskaHead(tracks, 1_024, ms(5)))).toEqual([]);
        const read = reader
          .push(cluster)
          .map(({ start: place, keyFrame, data }) => ({ track: 1, start: place, keyFrame, data }));
        expect(read).toEqual(blocks);
      },
    ),
    { endOnFailure: true },
  );
});

/** Enough of S3's protocol for a multipart upload; remembers what came. */
async function bucket() {
  const seen: { line: string; signed: boolean }[] = [];
  const parts: Buffer[] = [];
  let failing = true;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { searchParams, pathname } = new URL(request.url ?? '', 'http://s3');
      const signed = /^AWS4-HMAC-SHA256 Credential=KEYID\/.*Signature=[0-9a-f]{64}$/.test(
        request.headers.authorization ?? '',
      );
      seen.push({ line: `${request.method} ${pathname}`, signed });
      const xml = (body: string) => response.writeHead(200, { 'content-type': 'application/xml' }).end(body);
      if (failing) return void response.writeHead(403).end('<Error><Code>AccessDenied</Code></Error>');
      if (searchParams.has('uploads'))
        return void xml('<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>');
      if (request.method === 'PUT') {
        parts[Number(searchParams.get('partNumber') ?? 1) - 1] = Buffer.concat(chunks);
        return void response.writeHead(200, { etag: `"part${searchParams.get('partNumber')}"` }).end();
      }
      const named = Buffer.concat(chunks).toString().includes('part2');
      return void xml(
        `<CompleteMultipartUploadResult><ETag>"${named ? 'whole' : 'torn'}"</ETag></CompleteMultipartUploadResult>`,
      );
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { endpoint, seen, parts, work: () => (failing = false), close: () => server.close() };
}

test('recordings are uploaded in signed parts; what a server refused is tried again', async () => {
  const server = await bucket();
  try {
    const directory = folder();
    const data = Uint8Array.from({ length: 9 * 1024 * 1024 }, (_, i) => i * 7);
    put(directory, made('a', 1), data);
    const s3 = { endpoint: server.endpoint, region: 'eu-1', bucket: 'tapes', prefix: 'live/', keepLocal: true };
    const said: string[] = [];
    const once = () =>
      uploadRecordings(
        { directory, s3 },
        { accessKeyId: 'KEYID', secretAccessKey: 'hush' },
        (message) => said.push(message),
        new AbortController().signal,
      );
    expect(await once()).toBe(0);
    expect(said.join()).toContain('tried again');
    expect(said.join()).not.toContain('hush');
    expect((await listRecordings(directory))[0]?.uploaded).toBeNull();
    server.work();
    expect(await once()).toBe(1);
    expect(server.seen.every(({ line: each, signed }) => signed && each.endsWith(' /tapes/live/a.mp4'))).toBe(true);
    expect(Buffer.concat(server.parts).equals(data)).toBe(true);
    expect(server.parts.length).toBe(2);
    expect((await listRecordings(directory))[0]?.uploaded).toMatchObject({ bucket: 'tapes', keys: ['live/a.mp4'] });
    expect(await once()).toBe(0);
    expect(readFileSync(join(directory, 'a.mp4')).length).toBe(data.length);
  } finally {
    server.close();
  }
});
