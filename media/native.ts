import koffi, { type LibraryHandle } from 'koffi';

/** The door to native libraries: {@link koffi} for types and pointers, {@link library} to open one. */
export { koffi };
export type Library = LibraryHandle;

/** A native library that is not installed, and what to install. */
export class MissingLibrary extends Error {
  override readonly name = 'MissingLibrary';
}

/**
 * Opens the first of `names` that the system's loader finds.
 *
 * @param names file names as the loader knows them, e.g. `libopus.so.0` (Debian), `libopus.0.dylib` (Homebrew)
 * @param hint the package to install, said in the error
 * @param global make its symbols visible to libraries opened later (flite's voices need that)
 * @throws MissingLibrary when none is there
 */
export function library(names: readonly string[], hint: string, global = false): Library {
  const failures: string[] = [];
  for (const name of names) {
    try {
      return koffi.load(name, { global });
    } catch (failure) {
      failures.push(failure instanceof Error ? failure.message : String(failure));
    }
  }
  throw new MissingLibrary(`Cannot load ${names[0]}: install ${hint} (${failures.join('; ')})`);
}
