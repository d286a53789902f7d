import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { Config } from '../../gateway/config.ts';
import { root } from '../../gateway/root.ts';
import { loadConfig, variableOf } from '../../gateway/settings.ts';

const text = (file: string) => readFileSync(join(root, file), 'utf8');

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
}
/** Every setting's path. */
const leaves = (schema: Schema, path: readonly string[] = []): (readonly string[])[] =>
  schema.properties ? Object.entries(schema.properties).flatMap(([key, each]) => leaves(each, [...path, key])) : [path];
const settings = leaves(z.toJSONSchema(Config, { io: 'input' }) as Schema);

test.for(settings.map((path) => path.join('.')))('the README says what the setting %s is', (setting) => {
  expect(text('README.md')).toContain(`\`${setting}\``);
});

test.for(settings.map(variableOf))('.env.example has %s', (variable) => {
  expect(text('.env.example')).toMatch(new RegExp(`^#${variable}=`, 'm'));
});

test('what .env.example suggests is accepted', () => {
  const places = /^(LIVEDUB_(CACHE|FFMPEG|MODELS|MEDIA)|MEDIASOUP_WORKER_BIN)$/;
  const lines = [...text('.env.example').matchAll(/^#([A-Z_]+)=(.*)$/gm)].map(([, name = '', value]) => [name, value]);
  const env = Object.fromEntries(lines.filter(([name]) => !places.test(name ?? ''))) as Record<string, string>;
  expect(loadConfig(undefined, env)).toMatchObject({
    http: { port: 8080 },
    files: { roots: ['/srv/talks', '/srv/shows'] },
  });
});

test('ARCHITECTURE.md says of every package why it is there', () => {
  const { dependencies } = JSON.parse(text('package.json')) as { dependencies: Record<string, string> };
  const said = text('ARCHITECTURE.md');
  expect(Object.keys(dependencies).filter((name) => !said.includes(name))).toEqual([]);
});

test.for(['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md'])('the links of %s lead somewhere', (file) => {
  const links = [...text(file).matchAll(/(?<!!)\[[^\]]*\]\(([^)#:]+)(#[^)]*)?\)/g)].map(([, path = '']) => path);
  for (const path of links) expect(() => text(path)).not.toThrow();
});

test('the package scripts name files that exist', () => {
  const { scripts } = JSON.parse(text('package.json')) as { scripts: Record<string, string> };
  const files = Object.values(scripts).flatMap((script) =>
    [...script.matchAll(/node (\S+\.mjs)/g)].map(([, file = '']) => file),
  );
  expect(files.length).toBeGreaterThan(3);
  for (const file of files) expect(() => text(file)).not.toThrow();
});
