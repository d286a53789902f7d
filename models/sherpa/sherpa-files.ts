import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Scope } from '../../media/scope.ts';
import { Fault } from '../../pipeline/fault.ts';
import { ESPEAK_PACKAGE } from '../speak/espeak-library.ts';
import { type ModelPlace, modelFile, openModelFile, wrongFile } from '../store/model-file.ts';
import { fieldsOf } from '../translate/protobuf.ts';

/**
 * Looks at files before sherpa-onnx does, which ends the process when one is not what it expects: `abort` where the
 * network does not load, `_Exit` where metadata or a line of `tokens.txt` is not as it should be.
 */

/** `metadata_props` of `ModelProto` and the two fields of its entries, in onnx.proto. */
const METADATA = 14;
const [KEY, VALUE] = [1, 2];

/** What a network says of itself. Throws a `RangeError` when the file breaks off. */
export function factsOf(file: string): ReadonlyMap<string, string> {
  const text = new TextDecoder();
  const facts = new Map<string, string>();
  for (const { number, bytes } of fieldsOf(readFileSync(file))) {
    if (number !== METADATA) continue;
    const entry = [...fieldsOf(bytes)];
    const part = (which: number) => text.decode(entry.find((field) => field.number === which)?.bytes);
    facts.set(part(KEY), part(VALUE));
  }
  return facts;
}

/** What a network must be. */
export interface Expected {
  readonly inputs: readonly string[];
  /** What its metadata must say: exactly so, or in a way that the expression matches. */
  readonly facts?: Readonly<Record<string, string | RegExp>>;
}
/** Whole numbers, one or several. */
export const NUMBER = /^\d+$/;
export const NUMBERS = /^\d+(,\d+)*$/;

/** Refuses a network whose metadata does not say what it must. */
export function expectFacts(place: ModelPlace, file: string, facts: Expected['facts'] = {}): void {
  const found = factsOf(file);
  for (const [key, wanted] of Object.entries(facts)) {
    const value = found.get(key);
    if (value !== undefined && (typeof wanted === 'string' ? value === wanted : wanted.test(value))) continue;
    const said = value === undefined ? `says nothing of '${key}'` : `says '${value}' of '${key}'`;
    throw wrongFile(place, file, `its metadata ${said}, which sherpa-onnx needs; models/export makes such files`);
  }
}

/** The path of a network that sherpa-onnx can be given. It is opened here once, by our own onnxruntime, to be sure. */
export async function networkFile(place: ModelPlace, name: string, { inputs, facts }: Expected): Promise<string> {
  const file = modelFile(place, name);
  const check = new Scope(`check ${name}`);
  try {
    await openModelFile(place, name, inputs, check);
  } finally {
    await check.close();
  }
  expectFacts(place, file, facts);
  return file;
}

/** How the names of a `tokens.txt` are: one character each, or any. */
export type TokenKind = 'character' | 'piece';

/** The path of a list of tokens, `NAME NUMBER` a line, that sherpa-onnx can be given. A blank may stand for itself. */
export function tokensFile(place: ModelPlace, name: string, kind: TokenKind): string {
  const file = modelFile(place, name);
  const seen = new Set<string>();
  const lines = readFileSync(file, 'utf8').split('\n');
  for (const [n, line] of lines.entries()) {
    if (line === '' && n === lines.length - 1) continue;
    const token = /^(\S+|\s)?[ \t]+\d+\r?$/u.exec(line);
    const symbol = token?.[1] ?? ' ';
    if (token === null || (kind === 'character' && [...symbol].length !== 1)) {
      throw wrongFile(place, file, `line ${n + 1} is not a ${kind} and its number`);
    }
    if (seen.has(symbol)) throw wrongFile(place, file, `line ${n + 1} has a ${kind} that was there before`);
    seen.add(symbol);
  }
  if (seen.size === 0) throw wrongFile(place, file, 'it is empty');
  return file;
}

/** The path of a file of exactly so many bytes. */
export function sizedFile(place: ModelPlace, name: string, bytes: number): string {
  const file = modelFile(place, name);
  const { size } = statSync(file);
  if (size === bytes) return file;
  throw wrongFile(place, file, `it has ${size} bytes where the network asks for ${bytes}`);
}

/** Where eSpeak NG's data may lie. */
const PLACES = [
  '/usr/lib/x86_64-linux-gnu/espeak-ng-data',
  '/usr/lib/aarch64-linux-gnu/espeak-ng-data',
  '/usr/share/espeak-ng-data',
  '/opt/homebrew/share/espeak-ng-data',
  '/usr/local/share/espeak-ng-data',
];
const PARTS = ['phontab', 'phonindex', 'phondata', 'intonations'];
const complete = (directory: string) => PARTS.every((part) => existsSync(join(directory, part)));

/** Debian's package of eSpeak NG brings the data with the library. */
export const needsSpeakData = { install: ESPEAK_PACKAGE, present: () => PLACES.some(complete) };

/**
 * The data that sherpa-onnx's own eSpeak NG finds pronunciations with. That of Debian's 1.51 serves; a process has one,
 * the first that is used, so the system's comes before one beside the model.
 */
export function speakData(model: string): string {
  const found = [...PLACES, join(dirname(model), 'espeak-ng-data')].find(complete);
  if (found !== undefined) return found;
  throw new Fault('synthesizer', 'unavailable', `there is no espeak-ng-data: install ${ESPEAK_PACKAGE}`);
}
