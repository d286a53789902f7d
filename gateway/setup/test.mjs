#!/usr/bin/env node
// `npm test`: set-up with Chromium and Redis, build, then every Vitest project. Arguments go to Vitest.
import path from 'node:path';
import { ready } from './build.mjs';
import { become } from './child.mjs';
import { root } from './setup.mjs';
import { program } from './trouble.mjs';

await program(async () => {
  const worker = await ready({ test: true });
  return become(
    process.execPath,
    [path.join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...process.argv.slice(2)],
    {
      cwd: root,
      env: { MEDIASOUP_WORKER_BIN: worker },
    },
  );
});
