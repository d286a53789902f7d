#!/usr/bin/env node
// `npm run build`: TypeScript to dist/, the pages to wherever client/vite.config.ts says. Only what changed is built.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './child.mjs';
import { root, setUp } from './setup.mjs';
import { filesOf, readStamp, stampOf, writeStamp } from './stamp.mjs';
import { Trouble, program } from './trouble.mjs';

const SERVER = ['media', 'pipeline', 'models', 'gateway', 'bench'];
const node = (script, args) => run(process.execPath, [path.join(root, 'node_modules', script), ...args], { cwd: root });

/**
 * The server's code. Types are not checked here (`npm run types` does, in many times the time): what a person has to
 * wait for before the demo starts is only what has to happen.
 */
export const serverStep = () =>
  unlessBuilt(
    'server',
    'dist/gateway/cli.js',
    [...SERVER, 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json'],
    async () => {
      await node('typescript/bin/tsc', ['-p', 'tsconfig.build.json', '--noCheck']);
      // What is left of a deleted source would still be found by `import`.
      for (const name of filesOf(
        root,
        SERVER.map((folder) => `dist/${folder}`),
      )) {
        const source = name.replace(/^dist\//, '').replace(/\.js(\.map)?$/, '.ts');
        if (/\.js(\.map)?$/.test(name) && !fs.existsSync(path.join(root, source))) fs.rmSync(path.join(root, name));
      }
    },
  );

/** The viewer, publisher and session pages. */
export const clientStep = () =>
  fs.existsSync(path.join(root, 'client/vite.config.ts')) &&
  unlessBuilt('client', 'dist/client/index.html', ['client', 'gateway/protocol.ts', 'package-lock.json'], () =>
    node('vite/bin/vite.js', ['build', 'client', '--config', 'client/vite.config.ts', '--logLevel', 'warn']),
  );

/** A step that runs `build`, or nothing when `result` is there and the sources are as they were when it was made. */
function unlessBuilt(what, result, places, build) {
  const file = path.join(root, `dist/.${what}-stamp`);
  const stamp = stampOf(root, places, (name) => !/\.(mjs|md)$/.test(name));
  if (readStamp(file) === stamp && fs.existsSync(path.join(root, result))) return undefined;
  const work = async () => {
    try {
      await build();
    } catch (cause) {
      throw new Trouble(`The ${what} could not be built: ${cause.message}`, 'npm run types', { cause });
    }
    writeStamp(file, stamp);
  };
  return { title: `build the ${what}`, work };
}

/** Set-up and both builds; returns the mediasoup worker's path. */
export const ready = (options = {}) => setUp({ ...options, more: [serverStep, clientStep] });

if (process.argv[1] && fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await program(async () => void (await ready()));
}
