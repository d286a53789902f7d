/** The bench cannot measure what was asked for. */
export class UnknownLips extends Error {}
