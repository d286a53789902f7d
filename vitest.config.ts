import { defineConfig } from 'vitest/config';

/** Every project runs in Node. Only `real` starts processes and browsers, and it runs its files one by one. */
export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 120_000,
    projects: [
      { extends: true, test: { name: 'architecture', include: ['test/architecture.test.ts'] } },
      { extends: true, test: { name: 'unit', include: ['test/unit/**/*.test.ts'] } },
      { extends: true, test: { name: 'engines', include: ['test/engines/**/*.test.ts'], fileParallelism: false } },
      {
        extends: true,
        test: { name: 'real', include: ['test/real/**/*.test.ts'], fileParallelism: false, testTimeout: 300_000 },
      },
    ],
  },
});
