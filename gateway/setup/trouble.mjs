/** Something set-up cannot put right by itself. The message is one sentence; `fix` is the command or step that does. */
export class Trouble extends Error {
  name = 'Trouble';

  constructor(message, fix, options) {
    super(message, options);
    this.fix = fix;
  }
}

/** Runs a command-line program's `main`, says a {@link Trouble} in two lines, and gives the process its exit code. */
export async function program(main) {
  try {
    process.exitCode = (await main()) ?? 0;
  } catch (thrown) {
    if (!(thrown instanceof Trouble)) throw thrown;
    console.error(`\nSet-up stopped: ${thrown.message}`);
    if (thrown.fix) console.error(`\n    ${thrown.fix.replaceAll('\n', '\n    ')}\n`);
    process.exitCode = 1;
  }
}
