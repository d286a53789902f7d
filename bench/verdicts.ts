/** Something that must be shown, with what was measured. */
export interface Verdict {
  readonly what: string;
  readonly wanted: string;
  readonly measured: string;
  /** `null`: this run says nothing about it, and `measured` says why. */
  readonly passed: boolean | null;
}

const SAID = { true: 'pass', false: 'FAIL', null: 'not judged' } as const;
export const saidOf = ({ passed }: Verdict): string => SAID[`${passed}`];

/** A limit that a figure must keep; without a figure nothing is judged. */
export function judge(
  what: string,
  wanted: string,
  value: number | null | undefined,
  show: (value: number) => string,
  keeps: (value: number) => boolean,
): Verdict {
  if (value === null || value === undefined || Number.isNaN(value))
    return { what, wanted, measured: 'nothing to measure', passed: null };
  return { what, wanted, measured: show(value), passed: keeps(value) };
}

export function verdictText(verdicts: readonly Verdict[]): string {
  const width = (read: (verdict: Verdict) => string) => Math.max(0, ...verdicts.map((each) => read(each).length));
  const [what, wanted] = [width((each) => each.what), width((each) => each.wanted)];
  return verdicts
    .map(
      (each) =>
        `${saidOf(each).padEnd(10)}  ${each.what.padEnd(what)}  ${each.wanted.padEnd(wanted)}  ${each.measured}`,
    )
    .join('\n');
}
export const verdictRows = (verdicts: readonly Verdict[]): string[][] =>
  verdicts.map((each) => [saidOf(each), each.what, each.wanted, each.measured]);
export const VERDICT_HEAD = ['', 'must show', 'wanted', 'measured'];
export const anyFailed = (verdicts: readonly Verdict[]): boolean => verdicts.some(({ passed }) => passed === false);
