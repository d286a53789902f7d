#!/usr/bin/env node
// The `livedub` command. Starts the built program; what is not there yet is named with the command that makes it.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const built = path.join(root, 'dist/gateway/cli.js');

if (!existsSync(path.join(root, 'node_modules')) || !existsSync(built)) {
  const command = existsSync(path.join(root, 'node_modules')) ? 'npm run build' : 'npm run setup && npm run build';
  console.error(`livedub: not built yet. In ${root}:\n\n    ${command}\n`);
  process.exitCode = 1;
} else {
  process.setSourceMapsEnabled(true);
  const { run } = await import(pathToFileURL(built).href);
  await run();
}
