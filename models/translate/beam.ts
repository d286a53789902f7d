/** How the tokens of a sentence are searched for. The names and meanings of Hugging Face's `GenerationConfig`. */
export interface Search {
  /** How many beginnings are followed at a time; 1 takes the likeliest token each time. */
  readonly beams: number;
  /** A hypothesis' score is its log-probability divided by its length to this power. */
  readonly lengthPenalty: number;
  /** Whether to stop as soon as there are `beams` hypotheses, or only when no better one is to be expected. */
  readonly earlyStopping: boolean;
  /** The token that ends a sentence. */
  readonly end: number;
  /** Whether a sentence that reaches `longest` is given its end, whatever the network says. */
  readonly forcedEnd: boolean;
  /** Most tokens, those it starts with included. */
  readonly longest: number;
  /** Tokens that are never said. */
  readonly never: readonly number[];
  /** One of `never` that is not even given a share of the probability; Marian's padding. */
  readonly impossible?: number;
}

/** What to ask the network next: each beginning's last token, and which beginning of the step before it goes on from. */
export interface Step {
  readonly tokens: readonly number[];
  readonly from: readonly number[];
}

interface Beginning {
  readonly tokens: readonly number[];
  readonly score: number;
}
/** A whole sentence; `ended` if the network said so, not its length. */
interface Hypothesis extends Beginning {
  readonly ended: boolean;
}
interface Candidate {
  readonly from: number;
  readonly token: number;
  readonly score: number;
}

/**
 * Beam search, or greedy search with one beam. Pure: logits in, tokens to ask for next out.
 *
 * Token for token what `generate` of Hugging Face Transformers 4.27 makes (`BeamSearchScorer`), its float32 sums
 * included. It is here because transformers.js has no beam search.
 *
 * @see https://github.com/huggingface/transformers/blob/v4.27.1/src/transformers/generation/beam_search.py
 */
export class BeamSearch {
  readonly #search: Search;
  #open: Beginning[];
  #done: Hypothesis[] = [];
  #worst = Number.POSITIVE_INFINITY;
  #over = false;
  #ended = false;

  /** @param start the tokens every sentence starts with */
  constructor(start: readonly number[], search: Search) {
    this.#search = search;
    this.#open = [{ tokens: start, score: 0 }];
  }

  /** The best sentence so far, without the tokens it started with; with its end, if it came to one. */
  best(started: number): { tokens: readonly number[]; ended: boolean } {
    const { beams, end, longest } = this.#search;
    if (beams === 1) return { tokens: (this.#open[0]?.tokens ?? []).slice(started), ended: this.#ended };
    const open = this.#over ? [] : this.#open;
    for (const { tokens, score } of open) this.#finish({ tokens, score, ended: false });
    const best = this.#done.reduce((a, b) => (b.score >= a.score ? b : a));
    const tokens = best.tokens.slice(started);
    return { tokens: best.tokens.length < longest ? [...tokens, end] : tokens, ended: best.ended };
  }

  /**
   * Takes the logits behind each beginning, row by row; answers what to ask for next, or nothing when it is over.
   *
   * @param logits a row of `width` for each token of the step before (at first, for the one beginning); changed
   */
  push(logits: Float32Array, width: number): Step | undefined {
    return this.#search.beams === 1 ? this.#greedy(logits) : this.#beam(logits, width);
  }

  #greedy(logits: Float32Array): Step | undefined {
    const { end, longest, never } = this.#search;
    const tokens = this.#open[0]?.tokens ?? [];
    for (const token of never) logits[token] = Number.NEGATIVE_INFINITY;
    let token = 0;
    for (let n = 1; n < logits.length; n += 1) if ((logits[n] ?? 0) > (logits[token] ?? 0)) token = n;
    this.#ended = token === end;
    if (this.#isForced(tokens.length)) token = end;
    const now = [...tokens, token];
    this.#open = [{ tokens: now, score: 0 }];
    return token === end || now.length >= longest ? undefined : { tokens: [token], from: [0] };
  }

  #beam(logits: Float32Array, width: number): Step | undefined {
    const { beams, end, longest } = this.#search;
    const length = this.#open[0]?.tokens.length ?? 0;
    const candidates = this.#candidates(logits, width, length);
    const next: (Beginning & Candidate)[] = [];
    for (const [rank, candidate] of candidates.entries()) {
      const tokens = this.#open[candidate.from]?.tokens ?? [];
      if (candidate.token !== end) next.push({ ...candidate, tokens: [...tokens, candidate.token] });
      else if (rank < beams) this.#finish({ tokens, score: candidate.score, ended: !this.#isForced(length) });
      if (next.length === beams) break;
    }
    this.#over = this.#isOver(candidates[0]?.score ?? 0, length + 1);
    this.#open = next;
    if (this.#over || length + 1 >= longest) return undefined;
    return { tokens: next.map(({ token }) => token), from: next.map(({ from }) => from) };
  }

  /** The `2 · beams` likeliest ways on from all beginnings, the best first. */
  #candidates(logits: Float32Array, width: number, length: number): Candidate[] {
    const { beams, end, never, impossible } = this.#search;
    const forced = this.#isForced(length);
    const best: Candidate[] = [];
    let least = Number.NEGATIVE_INFINITY;
    for (const [from, { score }] of this.#open.entries()) {
      const row = logits.subarray(from * width, (from + 1) * width);
      if (impossible !== undefined) row[impossible] = Number.NEGATIVE_INFINITY;
      const total = logSumExp(row);
      for (const token of never) row[token] = Number.NEGATIVE_INFINITY;
      for (let token = 0; token < width; token += 1) {
        const own = forced ? (token === end ? 0 : Number.NEGATIVE_INFINITY) : Math.fround((row[token] ?? 0) - total);
        const sum = Math.fround(score + own);
        if (best.length === 2 * beams && !(sum > least)) continue;
        let place = best.length;
        while (place > 0 && sum > (best[place - 1]?.score ?? 0)) place -= 1;
        best.splice(place, 0, { from, token, score: sum });
        if (best.length > 2 * beams) best.pop();
        least = best.at(-1)?.score ?? least;
      }
    }
    return best;
  }

  /** Sums become averages here, so that long sentences have a chance. */
  #finish({ tokens, score: sum, ended }: Hypothesis): void {
    const { beams, lengthPenalty } = this.#search;
    const score = sum / tokens.length ** lengthPenalty;
    if (this.#done.length >= beams && score <= this.#worst) return;
    this.#done.push({ tokens, score, ended });
    if (this.#done.length <= beams) {
      this.#worst = Math.min(score, this.#worst);
      return;
    }
    const order = this.#done.toSorted((a, b) => a.score - b.score);
    this.#done = this.#done.filter((each) => each !== order[0]);
    this.#worst = order[1]?.score ?? this.#worst;
  }

  #isForced(length: number): boolean {
    const { forcedEnd, longest } = this.#search;
    return forcedEnd && length === longest - 1;
  }

  #isOver(best: number, length: number): boolean {
    const { beams, earlyStopping, lengthPenalty } = this.#search;
    if (this.#done.length < beams) return false;
    return earlyStopping || this.#worst >= best / length ** lengthPenalty;
  }
}

/** The logarithm of the sum of the exponentials. */
function logSumExp(row: Float32Array): number {
  let most = Number.NEGATIVE_INFINITY;
  for (const logit of row) if (logit > most) most = logit;
  let sum = 0;
  for (const logit of row) sum += Math.exp(logit - most);
  return most + Math.log(sum);
}
