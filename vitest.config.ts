import { defineConfig } from 'vitest/config';

/** Engine tests that keep time with the wall clock or start servers and processes: they have the machine to themselves. */
const PACED = [
  'bench',
  'bench-doors',
  'check-hls*',
  'file-source',
  'hls*',
  'inference-server',
  'lips-process',
  'listening',
  'live-hls',
  'live-source',
  'model-download',
  'output',
  'push*',
  'recording-outlet',
  'remote-lips',
  'rtmp*',
  'rtsp',
  's3',
  'session*',
  'srt*',
  'stream*',
  'tap',
  'thread',
].map((name) => `test/engines/${name}.test.ts`);

/**
 * Every project runs in Node. Unit tests and engines that only compute run side by side, a file to a core; what keeps
 * time runs after them, one file after the other.
 */
export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 120_000,
    maxWorkers: '100%',
    projects: [
      { extends: true, test: { name: 'architecture', include: ['test/architecture.test.ts'] } },
      { extends: true, test: { name: 'unit', include: ['test/unit/**/*.test.ts'] } },
      {
        extends: true,
        test: { name: 'engines', include: ['test/engines/**/*.test.ts'], exclude: PACED, testTimeout: 120_000 },
      },
      { extends: true, test: { name: 'paced', include: PACED, fileParallelism: false } },
      {
        extends: true,
        test: { name: 'real', include: ['test/real/**/*.test.ts'], fileParallelism: false, testTimeout: 300_000 },
      },
    ],
  },
});
