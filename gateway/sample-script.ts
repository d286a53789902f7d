/** Who speaks in the sample programme: the name on the picture and the flite voice. */
export const SPEAKERS = {
  anna: { name: 'Anna', voice: 'slt' },
  ben: { name: 'Ben', voice: 'rms' },
} as const;
export type SampleSpeaker = keyof typeof SPEAKERS;

export interface ScriptLine {
  readonly speaker: SampleSpeaker;
  readonly text: string;
  /** Silence after the line, milliseconds. */
  readonly pause: number;
}

/**
 * The sample programme's text: short sentences of everyday words, two speakers in turn.
 *
 * Each was picked because the embedded recogniser reads it in this voice and the embedded translator knows its words,
 * so that what a newcomer hears shows the chain and not the limits of its smallest engines.
 */
export const SCRIPT: readonly ScriptLine[] = [
  { speaker: 'anna', text: 'Welcome to the program.', pause: 900 },
  { speaker: 'anna', text: 'Yesterday there was a big storm.', pause: 1_000 },
  { speaker: 'ben', text: 'The sky is blue, and the wind is warm.', pause: 800 },
  { speaker: 'ben', text: 'The water of the river is very cold.', pause: 1_000 },
  { speaker: 'anna', text: 'The museum is open every day.', pause: 700 },
  { speaker: 'anna', text: 'The city has a long history.', pause: 1_000 },
  { speaker: 'ben', text: 'My brother has a small house on the beach.', pause: 800 },
  { speaker: 'ben', text: 'The hotel has a beautiful garden.', pause: 1_100 },
  { speaker: 'anna', text: 'The people here are very friendly.', pause: 700 },
  { speaker: 'anna', text: 'The story of this city is very interesting.', pause: 1_000 },
  { speaker: 'ben', text: 'The market opens in the morning.', pause: 800 },
  { speaker: 'ben', text: 'The mountains are covered with snow.', pause: 1_200 },
  { speaker: 'anna', text: 'Scientists are studying the temperature of the ocean.', pause: 900 },
  { speaker: 'anna', text: 'The ocean is an important part of the economy.', pause: 1_000 },
  { speaker: 'ben', text: 'The government wants to build a new bridge.', pause: 800 },
  { speaker: 'ben', text: 'In winter it rains, and the streets are empty.', pause: 1_000 },
  { speaker: 'anna', text: 'The president will visit the city next week.', pause: 800 },
  { speaker: 'anna', text: 'The island is twenty miles from the coast.', pause: 1_100 },
  { speaker: 'ben', text: 'In summer it is very hot.', pause: 600 },
  { speaker: 'ben', text: 'It is going to rain tomorrow.', pause: 900 },
  { speaker: 'anna', text: 'We need a big umbrella.', pause: 900 },
  { speaker: 'anna', text: 'Thank you very much.', pause: 1_200 },
];
