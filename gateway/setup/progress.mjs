const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const BAR = 20;
/** Milliseconds between two lines of the same step where there is no terminal to draw on. */
const QUIET = 15_000;

/**
 * Says what set-up is doing: numbered steps, each with elapsed seconds and, where it is known, how far it is.
 *
 * On a terminal one line is redrawn; elsewhere a step is a line when it starts, at most one every 15 s while it
 * runs, and one when it ends. Nothing is written before the first step.
 */
export class Progress {
  #out;
  #total;
  #count = 0;
  #now;

  constructor({ out = process.stderr, total = 1, now = () => performance.now() } = {}) {
    this.#out = out;
    this.#total = total;
    this.#now = now;
  }

  /** Runs `work` as the next step. It gets `say(text, fraction?)`; what it returns is returned. */
  async step(title, work) {
    const head = `[${++this.#count}/${Math.max(this.#total, this.#count)}] ${title}`;
    const start = this.#now();
    const elapsed = () => duration(this.#now() - start);
    const tty = Boolean(this.#out.isTTY);
    let text = '';
    let fraction;
    let spin = 0;
    let said = start;
    const draw = () => {
      const line = `${SPINNER[spin++ % SPINNER.length]} ${head}${progressText(text, fraction)}  ${elapsed()}`;
      this.#out.write(`\r\x1b[2K${clip(line, this.#out.columns || 80)}`);
    };
    const timer = tty ? setInterval(draw, 100) : undefined;
    if (!tty) this.#out.write(`${head} …\n`);
    const end = (mark, last) => {
      clearInterval(timer);
      this.#out.write(`${tty ? '\r\x1b[2K' : ''}${mark} ${head}${last ? `: ${last}` : ''}  ${elapsed()}\n`);
    };
    try {
      const result = await work((newText, newFraction) => {
        text = newText;
        fraction = newFraction;
        if (tty || this.#now() - said < QUIET) return;
        said = this.#now();
        this.#out.write(`${head}${progressText(text, fraction)}  ${elapsed()}\n`);
      });
      end(tty ? '✔' : 'done', '');
      return result;
    } catch (thrown) {
      end(tty ? '✘' : 'failed', '');
      throw thrown;
    }
  }
}

export function duration(milliseconds) {
  const s = Math.round(milliseconds / 1000);
  return s < 60 ? `${s} s` : `${Math.floor(s / 60)} min ${s % 60} s`;
}

function progressText(text, fraction) {
  const bar =
    fraction === undefined
      ? ''
      : ` ${'█'.repeat(Math.round(fraction * BAR)).padEnd(BAR, '░')} ${Math.round(fraction * 100)} %`;
  return `${text ? `: ${text}` : ''}${bar}`;
}

const clip = (line, columns) => (line.length < columns ? line : `${line.slice(0, Math.max(1, columns - 2))}…`);
