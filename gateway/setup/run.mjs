#!/usr/bin/env node
// `npm run demo -- …`, `npm run bench -- …`: set-up and build if needed, then the command in our place.
import path from 'node:path';
import { ready } from './build.mjs';
import { become } from './child.mjs';
import { root } from './setup.mjs';
import { program } from './trouble.mjs';

await program(async () => {
  const [command = 'demo', ...args] = process.argv.slice(2);
  const worker = await ready();
  const start = command === 'bench' ? ['dist/bench/main.js'] : ['dist/gateway/cli.js', command];
  const [file, ...first] = start;
  return become(process.execPath, ['--enable-source-maps', path.join(root, file), ...first, ...args], {
    env: { MEDIASOUP_WORKER_BIN: worker },
  });
});
