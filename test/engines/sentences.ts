/** English as people say it: greetings, news, a novel, advice, talk. 159 words. */
export const sentences = [
  'Good morning, my name is Jordi Mas.',
  "I'm from Barcelona.",
  'I love this city.',
  'Scientists have discovered a new species of bird in the Amazon rainforest.',
  'Today we are going to talk about climate change and its effects on agriculture.',
  'He hoped there would be stew for dinner, turnips and carrots and bruised potatoes and fat mutton pieces.',
  "The music came nearer and he recalled the words of Shelley's fragment upon the moon.",
  'Please remember to save your work before you close the window.',
  'We have three hours before the train leaves.',
  'I think the government should spend more money on schools.',
  'She said that she would call you back tomorrow.',
  'It is raining, so we are staying at home today.',
  'The doctor told him to drink more water and sleep eight hours a night.',
  'You can find the answer in the book I gave you last week.',
  'The children are playing football in the park near the river.',
] as const;
