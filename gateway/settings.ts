import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { Config } from './config.ts';
import { invalid } from './refusal.ts';

/** A setting that cannot be: one sentence that names the key and where it came from, and one that says what to do. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  /** Dotted, e.g. `http.port`; `null` when the file as a whole is at fault. */
  readonly key: string | null;

  constructor(message: string, key: string | null, options?: { cause?: unknown }) {
    super(message, options);
    this.key = key;
  }
}

const PREFIX = 'LIVEDUB_';

/** `rtc.iceServers` → `LIVEDUB_RTC_ICE_SERVERS`. */
export const variableOf = (path: readonly string[]) =>
  PREFIX + path.map((key) => key.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()).join('_');

interface Leaf {
  readonly path: readonly string[];
  readonly schema: z.ZodType;
}
type Tree = { [key: string]: unknown };

/**
 * The gateway's settings: defaults, over them a JSON file, over it the environment, over it what the command line says.
 *
 * @param file path of the JSON file, if any
 * @param env `LIVEDUB_HTTP_PORT=80` sets `http.port`; lists are JSON or, for plain words, separated by `:`
 * @param given what was said on the command line; `undefined` values say nothing
 * @throws ConfigError
 */
export function loadConfig(
  file: string | undefined,
  env: Readonly<Record<string, string | undefined>> = {},
  given: Tree = {},
): Config {
  const leaves = leavesOf(Config);
  const variables = new Map(leaves.map((leaf) => [variableOf(leaf.path), leaf]));
  const origin = new Map<string, string>();
  const tree: Tree = file === undefined ? {} : fromFile(file);
  for (const [name, text] of Object.entries(env)) {
    if (text === undefined || text === '' || !sections.some((section) => name.startsWith(`${variableOf([section])}_`)))
      continue;
    const leaf = variables.get(name);
    if (!leaf)
      throw new ConfigError(`${name} is no setting of Livedub. There is ${[...variables.keys()].join(', ')}.`, null);
    set(tree, leaf.path, valueOf(text, leaf.schema));
    origin.set(leaf.path.join('.'), name);
  }
  for (const { path } of leaves) {
    const value = path.reduce<unknown>((node, key) => (node as Tree | undefined)?.[key], given);
    if (value === undefined) continue;
    set(tree, path, value);
    origin.set(path.join('.'), 'the command line');
  }
  const parsed = Config.safeParse(tree);
  if (parsed.success) return parsed.data;
  const { error } = invalid(parsed.error.issues);
  const key = error.field;
  const where = (key && (origin.get(key) ?? origin.get(key.replace(/\.[^.]*$/, '')))) ?? file;
  throw new ConfigError(`${error.message}${where ? ` It comes from ${where}.` : ''} ${error.fix}`, key);
}

const sections = Object.keys(Config.shape);

function fromFile(file: string): Tree {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new ConfigError(`The settings file ${file} cannot be read. Check its name and who may read it.`, null, {
      cause,
    });
  }
  try {
    const tree: unknown = JSON.parse(text);
    if (typeof tree === 'object' && tree !== null && !Array.isArray(tree)) return tree as Tree;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : 'not JSON';
    throw new ConfigError(`The settings file ${file} is not JSON: ${why}.`, null, { cause });
  }
  throw new ConfigError(
    `The settings file ${file} holds no object. Write { "http": { "port": 8080 } }, for example.`,
    null,
  );
}

/** Every setting that is not a group of settings. */
function leavesOf(schema: z.ZodType, path: readonly string[] = []): Leaf[] {
  const inner = unwrapped(schema);
  if (!(inner instanceof z.ZodObject)) return [{ path, schema: inner }];
  return Object.entries(inner.shape as Record<string, z.ZodType>).flatMap(([key, each]) =>
    leavesOf(each, [...path, key]),
  );
}

function unwrapped(schema: z.ZodType): z.ZodType {
  let inner = schema;
  while (inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault || inner instanceof z.ZodOptional) {
    inner = inner.unwrap() as z.ZodType;
  }
  return inner;
}

/** An environment variable's text as the kind of value its setting is. What does not fit is left for the schema to refuse. */
function valueOf(text: string, schema: z.ZodType): unknown {
  if (schema instanceof z.ZodNumber) return text.trim() === '' ? text : Number(text);
  if (schema instanceof z.ZodBoolean) return { true: true, '1': true, false: false, '0': false }[text] ?? text;
  if (!(schema instanceof z.ZodArray)) return text;
  if (!text.trimStart().startsWith('[')) return text.split(':').filter(Boolean);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

function set(tree: Tree, path: readonly string[], value: unknown): void {
  const [key = '', ...rest] = path;
  if (rest.length === 0) {
    tree[key] = value;
    return;
  }
  const branch = tree[key];
  // A file that has a number where a group belongs is the schema's to refuse.
  if (branch !== undefined && (typeof branch !== 'object' || branch === null)) return;
  set((tree[key] = { ...(branch as Tree | undefined) }), rest, value);
}
