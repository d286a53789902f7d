import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { Shapes } from '../runtime/ports.ts';
import { type ModelCard, modelDirectory } from '../store/weights.ts';
import type { Offer } from './inference-server.ts';

/** What was named cannot be served. */
export class NoOffer extends Error {
  override readonly name = 'NoOffer';
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const nameOfFile = (file: string) => basename(file, '.onnx');

/**
 * The networks that are meant: `NAME=FILE`, a file, a model of the store by its name, or of a directory `FILE.onnx` or
 * `NAME/VERSION/model.onnx`, the highest version of each.
 *
 * A model of the store that has several networks gives `MODEL.NETWORK` each.
 *
 * @param shapes by model, then input
 * @throws NoOffer
 */
export function offersOf(
  named: readonly string[],
  directory: string | undefined,
  cards: readonly ModelCard[],
  shapes: Readonly<Record<string, Shapes>> = {},
): Offer[] {
  const found = [
    ...named.flatMap((each) => offersIn(each, cards)),
    ...(directory === undefined ? [] : below(directory)),
  ];
  const seen = new Set<string>();
  for (const { name, file } of found) {
    if (!NAME.test(name)) throw new NoOffer(`'${name}' is no model's name. Give one: NAME=${file}`);
    if (seen.has(name)) throw new NoOffer(`Two models are called '${name}'. Give one another name: OTHER=${file}`);
    seen.add(name);
    if (!existsSync(file)) throw new NoOffer(`There is no ${file}.`);
  }
  const stray = Object.keys(shapes).find((name) => !seen.has(name));
  if (stray !== undefined) throw new NoOffer(`A shape is given for '${stray}', which is not served.`);
  return found.map(({ name, file }) => ({ name, file, ...(shapes[name] && { shapes: shapes[name] }) }));
}

function offersIn(text: string, cards: readonly ModelCard[]): Offer[] {
  const [, name, path] = /^([^=/]+)=(.+)$/.exec(text) ?? [];
  if (name !== undefined && path !== undefined) return [{ name, file: resolve(path) }];
  if (text.endsWith('.onnx')) return [{ name: nameOfFile(text), file: resolve(text) }];
  const card = cards.find((each) => each.name === text);
  if (!card) {
    throw new NoOffer(`There is no model '${text}'. Give a file, NAME=FILE, or one of: livedub models list.`);
  }
  const files = card.files.map((file) => file.name).filter((file) => file.endsWith('.onnx'));
  const there = files.filter((file) => existsSync(join(modelDirectory(card), file)));
  if (files.length === 0) throw new NoOffer(`Model '${text}' has no ONNX file.`);
  if (there.length === 0) throw new NoOffer(`Model '${text}' is not here: livedub models pull ${text}`);
  return there.map((file) => ({
    name: files.length === 1 ? card.name : `${card.name}.${nameOfFile(file)}`,
    file: join(modelDirectory(card), file),
  }));
}

function below(directory: string): Offer[] {
  if (!existsSync(directory) || !statSync(directory).isDirectory()) throw new NoOffer(`${directory} is no directory.`);
  const found = readdirSync(directory, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry): Offer[] => {
      const path = resolve(directory, entry.name);
      if (!statSync(path).isDirectory()) {
        const whole = path.replace(/_fp16\.onnx$/, '.onnx');
        // Of a network that is there in full, this is the half precision, which whoever opens it takes where it is asked for.
        if (!entry.name.endsWith('.onnx') || (whole !== path && existsSync(whole))) return [];
        return [{ name: nameOfFile(entry.name), file: path }];
      }
      const versions = readdirSync(path)
        .filter((version) => /^[1-9]\d*$/.test(version) && existsSync(join(path, version, 'model.onnx')))
        .sort((a, b) => Number(b) - Number(a));
      return versions[0] === undefined ? [] : [{ name: entry.name, file: join(path, versions[0], 'model.onnx') }];
    });
  if (found.length === 0) throw new NoOffer(`There is no ONNX file in ${directory}.`);
  return found;
}

/** `MODEL:INPUT=1x3x256x256`, gathered. @throws NoOffer */
export function shapesOf(texts: readonly string[]): Record<string, Record<string, readonly number[]>> {
  const shapes: Record<string, Record<string, readonly number[]>> = {};
  for (const text of texts) {
    const [, model, input, sizes] = /^([^:]+):(.+)=(\d+(?:x\d+)*)$/.exec(text) ?? [];
    if (model === undefined || input === undefined || sizes === undefined) {
      throw new NoOffer(`'${text}' is no shape. Give MODEL:INPUT=1x3x256x256.`);
    }
    shapes[model] = { ...shapes[model], [input]: sizes.split('x').map(Number) };
  }
  return shapes;
}
