import { expect, test } from 'vitest';
import { at } from '../../media/time.ts';
import { layout } from '../../pipeline/cue-layout.ts';
import type { Language } from '../../pipeline/domain.ts';
const rows = (text: string, language: string) =>
  layout({ text, words: [], start: at(0), end: at(5e6) }, language as Language).map(({ lines }) => lines);
test('x', () => {
  for (const [l, t] of [
    ['en', 'and mister john dashwood had then leisure to consider how much there might be prudently in his power to do for them'],
    ['en', 'unless to be rather cold hearted and rather selfish is to be ill disposed'],
    ['en', 'had he married a more a amiable woman he might have been made still more respectable than he was'],
    ['en', 'Many birds return to the same place every year, and nobody quite knows how.'],
    ['es', 'Muchas aves vuelven cada año al mismo lugar, y nadie sabe del todo cómo.'],
    ['es', 'Hoy quiero hablar de las aves que cruzan el océano sin descansar, y de lo que sabemos sobre cómo encuentran el camino de vuelta.'],
    ['de', 'Die Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft tagt in der Stadt.'],
    ['de', 'Der Bundesverfassungsgerichtspräsident erklärte, dass die Rechtsschutzversicherungsgesellschaften zahlen müssen.'],
    ['zh', '欢迎大家来体验达摩院推出的语音识别模型，它可以在很短的时间内把语音转换成文字，并且支持很多种语言。'],
    ['ja', '今日は海を渡る鳥たちがどのようにして帰り道を見つけるのかについて、皆さんにお話ししたいと思います。'],
    ['ar', 'تعود طيور كثيرة إلى المكان نفسه كل عام، ولا أحد يعرف تمامًا كيف تجد طريقها عبر البحر.'],
  ]) console.log(l, JSON.stringify(rows(t!, l!), null, 1));
  expect(1).toBe(1);
});
