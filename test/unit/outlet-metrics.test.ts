import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { Scope } from '../../media/scope.ts';
import { openMetrics } from '../../gateway/metrics.ts';

test('what outlets do and lose is in the metrics, by session and outlet', async () => {
  const scope = new Scope('test');
  const counts = {
    tap: { 'packets lost': 2 },
    hls: { parts: 30, partsLate: 1, waiting: 4, bytesKept: 5_000 },
    record: { pictures: 60, bytes: 7_000, droppedPictures: 3, waiting: 800 },
    'push 1': { connected: 1, restarts: 2, 'sent bytes': 9_000, 'dropped pictures': 5, 'push waiting': 6 },
  };
  const outlets = { counts, requests: 11, answering: 1, restarts: 1 };
  const session = { id: 's', state: 'live', viewers: 0, restarts: 0, stats: null, outlets };
  const sessions = { list: () => [session, { ...session, id: 'gone', over: true }] as never };
  const metrics = openMetrics(scope, {
    sfu: { pids: [], deaths: 0 },
    rtmp: { counts: {} },
    sessions,
    recordings: tmpdir(),
  });
  const text = await metrics.text();
  for (const line of [
    'outlet_done_total{session="s",outlet="hls",what="parts"} 30',
    'outlet_done_total{session="s",outlet="record",what="pictures"} 60',
    'outlet_lost_total{session="s",outlet="hls",reason="parts_late"} 1',
    'outlet_lost_total{session="s",outlet="tap",reason="packets_lost"} 2',
    'outlet_lost_total{session="s",outlet="push 1",reason="dropped_pictures"} 5',
    'outlet_bytes_total{session="s",outlet="record"} 7000',
    'outlet_bytes_total{session="s",outlet="push 1"} 9000',
    'outlet_queue{session="s",outlet="hls",queue="bytes_kept"} 5000',
    'outlet_queue{session="s",outlet="record",queue="waiting"} 800',
    'outlet_connected{session="s",outlet="push 1"} 1',
    'outlet_restarts_total{session="s",outlet="push 1"} 2',
    'outlet_requests_total{session="s"} 11',
    'outlet_requests{session="s"} 1',
    'outlet_process_restarts_total{session="s"} 1',
  ])
    expect(text.split('\n')).toContain(line);
  expect(text).toMatch(/^recordings_free_bytes [1-9]\d+$/m);
  expect(text).not.toContain('session="gone"');
  await scope.close();
});
