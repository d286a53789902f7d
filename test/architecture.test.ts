import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Which of our folders a folder may import besides itself. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  media: [],
  pipeline: ['media'],
  models: ['media', 'pipeline'],
  gateway: ['media', 'pipeline', 'models'],
  client: [],
};
/** The single files a folder may import from folders it may otherwise not. */
const ALSO: Record<string, readonly string[]> = { client: ['gateway/protocol.ts'] };

/** Third-party package → the one file that imports it. Types count too: a new major version is one file. */
const DOORS: Record<string, string> = {
  koffi: 'media/native.ts',
  mediabunny: 'media/mediabunny.ts',
  'rubberband-wasm': 'media/rubberband.ts',
  'onnxruntime-node': 'models/runtime/onnx.ts',
  'sherpa-onnx-node': 'models/sherpa/sherpa.ts',
  '@ricky0123/vad-web': 'models/detect/silero.ts',
  '@echogarden/rnnoise-wasm': 'models/clean/rnnoise.ts',
  mediasoup: 'gateway/sfu.ts',
  ws: 'media/websocket.ts',
  fastify: 'gateway/http.ts',
  '@fastify/static': 'gateway/http.ts',
  '@fastify/swagger': 'gateway/http.ts',
  'fastify-type-provider-zod': 'gateway/http.ts',
  ioredis: 'gateway/registry.ts',
  'prom-client': 'gateway/metrics.ts',
  pino: 'gateway/log.ts',
  commander: 'gateway/cli.ts',
  'mediasoup-client': 'client/sfu.ts',
  '@ffmpeg/ffmpeg': 'client/ffmpeg.ts',
  '@ffmpeg/core': 'client/ffmpeg.ts',
  vite: 'client/vite.config.ts',
  // The model server.
  '@grpc/grpc-js': 'models/serve/grpc.ts',
  '@grpc/proto-loader': 'models/serve/grpc.ts',
  '@aws-sdk/client-s3': 'gateway/outlet/s3.ts',
  '@aws-sdk/lib-storage': 'gateway/outlet/s3.ts',
};
/** Vocabulary rather than parts: the joints of the pipeline, the edges' schemas, the page's views. */
const EVERYWHERE: Record<string, readonly string[]> = {
  pipeline: ['rxjs'],
  models: ['zod'],
  gateway: ['zod', 'rxjs'],
  client: ['preact', '@preact/signals'],
};

const filesIn = (folder: string): string[] =>
  readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((file) => file.isFile() && /\.(ts|tsx|mts)$/.test(file.name) && !file.name.endsWith('.d.ts'))
    .map((file) => join(file.parentPath, file.name))
    .filter((path) => !path.includes('node_modules'));

const importsOf = (source: string): string[] =>
  [
    ...source.matchAll(/^(?:import|export)\b[^'"]*?from\s+['"]([^'"]+)['"]/gm),
    ...source.matchAll(/^import\s+['"]([^'"]+)['"]/gm),
    ...source.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)/g),
  ].map((match) => match[1] ?? '');

const packageOf = (specifier: string) =>
  specifier
    .replace(/\?.*$/, '')
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

/** Why `file` may not import `specifier`, or nothing. */
export function complaint(file: string, specifier: string): string | undefined {
  const folder = file.split('/')[0] ?? '';
  if (specifier.startsWith('node:')) return folder === 'client' ? 'the browser has no node: modules' : undefined;
  if (specifier.startsWith('.')) {
    const target = relative(root, resolve(root, dirname(file), specifier.replace(/\?.*$/, '')));
    const other = target.split('/')[0] ?? '';
    if (other === folder || MAY_IMPORT[folder]?.includes(other) || ALSO[folder]?.includes(target)) return undefined;
    return `${folder} may not import ${other}`;
  }
  const name = packageOf(specifier);
  if (EVERYWHERE[folder]?.includes(name) || DOORS[name] === file) return undefined;
  return DOORS[name] ? `${name} is imported by ${DOORS[name]} alone` : `${name} has no door in ${folder}`;
}

describe.for(Object.keys(MAY_IMPORT))('%s', (folder) => {
  test.for(filesIn(folder).map((path) => relative(root, path)))('%s imports only what it may', (file) => {
    const source = readFileSync(join(root, file), 'utf8');
    const complaints = importsOf(source).flatMap((specifier) => complaint(file, specifier) ?? []);
    expect(complaints).toEqual([]);
  });
});

test.for([
  ['media/timeline.ts', '../pipeline/domain.ts', 'media may not import pipeline'],
  ['pipeline/dub.ts', '../models/index.ts', 'pipeline may not import models'],
  ['models/index.ts', '../gateway/config.ts', 'models may not import gateway'],
  ['client/viewer.ts', '../gateway/config.ts', 'client may not import gateway'],
  ['client/viewer.ts', '../gateway/protocol.ts', undefined],
  ['gateway/http.ts', 'mediasoup', 'mediasoup is imported by gateway/sfu.ts alone'],
  ['pipeline/dub.ts', 'left-pad', 'left-pad has no door in pipeline'],
  ['gateway/session/main.ts', '../../media/time.ts', undefined],
] as const)('the rule: %s importing %s', ([file, specifier, expected]) => {
  expect(complaint(file, specifier)).toBe(expected);
});

test('the rule reads real imports', () => {
  expect(importsOf(readFileSync(join(root, 'pipeline/rx.ts'), 'utf8'))).toContain('../media/mailbox.ts');
});
