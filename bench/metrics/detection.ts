/** A moment of a recording: what a detector said, and whether it was right to. */
export interface Judged {
  readonly probability: number;
  readonly truth: boolean;
}

/** A stretch of a recording that somebody has labelled, in seconds. */
export interface Label {
  readonly start: number;
  readonly end: number;
  readonly speech: boolean;
}

/** Reads a line of TEN-VAD's test set: the recording's name, then start, end and 0 or 1 for each stretch. */
export function readLabels(scv: string): Label[] {
  const [, ...cells] = scv.trim().split(',').map(Number);
  return Array.from({ length: Math.floor(cells.length / 3) }, (_, n) => ({
    start: cells[3 * n]!,
    end: cells[3 * n + 1]!,
    speech: cells[3 * n + 2] === 1,
  }));
}

/** The label of a moment, in seconds; nothing where nobody has labelled. */
export const labelAt = (labels: readonly Label[], second: number): boolean | undefined =>
  labels.find(({ start, end }) => second >= start && second < end)?.speech;

/** The area under the ROC curve: the chance that a moment of speech is given more than a moment without. */
export function areaUnderCurve(judged: readonly Judged[]): number {
  const ranked = judged.toSorted((a, b) => a.probability - b.probability);
  const positives = judged.filter(({ truth }) => truth).length;
  let sum = 0;
  for (let from = 0; from < ranked.length;) {
    let to = from;
    let truths = 0;
    for (; to < ranked.length && ranked[to]!.probability === ranked[from]!.probability; to += 1) {
      if (ranked[to]!.truth) truths += 1;
    }
    // What is given the same shares the ranks.
    sum += (truths * (from + 1 + to)) / 2;
    from = to;
  }
  return (sum - (positives * (positives + 1)) / 2) / positives / (judged.length - positives);
}

/** How much of what was called speech is (precision), how much of the speech was called so (recall), 0 … 1. */
export function precisionAndRecall(judged: readonly Judged[], threshold: number) {
  let [hits, called, spoken] = [0, 0, 0];
  for (const { probability, truth } of judged) {
    const call = probability >= threshold;
    if (call) called += 1;
    if (truth) spoken += 1;
    if (call && truth) hits += 1;
  }
  return { precision: called === 0 ? 1 : hits / called, recall: spoken === 0 ? 1 : hits / spoken };
}
