import { Fault } from '../../pipeline/fault.ts';
import type { Stage } from '../../pipeline/stage.ts';

/** A synthesizer that can be made to fail, as one does whose process has died, and to come back. */
export class Outage {
  stopped = false;
  /** Lines it could not say. */
  refused = 0;

  over(stage: Stage<'synthesizer'>): Stage<'synthesizer'> {
    const check = () => {
      if (!this.stopped) return;
      this.refused += 1;
      throw new Fault('synthesizer', 'unavailable', 'the voice is stopped for a while');
    };
    return {
      ...stage,
      run: (input, scope) => {
        const lines = async function* () {
          for await (const line of input) {
            check();
            yield line;
          }
        };
        return stage.run(lines(), scope);
      },
    };
  }
}
