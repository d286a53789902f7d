/** What outlets count, by outlet and name: see `counts` in gateway/outlet/outlet.ts. */
export type OutletCounts = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** Which question a count answers. What is in no list is a number of things that were done. */
export type Question = 'lost' | 'queue' | 'bytes' | 'connected' | 'restarts' | 'done';
const LISTS: Readonly<Record<Exclude<Question, 'done'>, readonly string[]>> = {
  lost: [
    ...['partsLate', 'segmentsWithoutKeyFrame', 'partsWithNothing', 'framesDropped', 'picturesDamaged', 'captionsLost'],
    ...['waitersRefused', 'waitersTimedOut'],
    ...['droppedPictures', 'droppedPackets', 'early', 'failures', 'dropped pictures', 'dropped sounds'],
    ...['datagrams of no track', 'packets lost', 'sound packets made up', 'sound packets damaged', 'pictures dropped'],
    ...['damaged', 'broken'],
  ],
  queue: ['waiting', 'push waiting', 'bytesKept', 'tiles', 'tileBytes', 'sheetBytes', 'posterBytes'],
  bytes: ['bytes', 'sent bytes'],
  connected: ['connected'],
  restarts: ['restarts'],
};
const QUESTIONS = new Map(
  Object.entries(LISTS).flatMap(([question, names]) => names.map((name) => [name, question as Question] as const)),
);

/** The counts that answer a question, with names as labels have them: `dropped_pictures`. */
export function* countsFor(question: Question, counts: OutletCounts) {
  for (const [outlet, named] of Object.entries(counts))
    for (const [name, value] of Object.entries(named))
      if ((QUESTIONS.get(name) ?? 'done') === question) yield { outlet, name: labelOf(name), value };
}
const labelOf = (name: string) =>
  name
    .replaceAll(/([a-z])([A-Z])/gu, '$1_$2')
    .replaceAll(/\W+/gu, '_')
    .toLowerCase();
