// A picture process of our own: answers every take with one patch per picture of it, and dies or hangs when it is told to
// by the name of a session (`spec.name`).
let spec;
let guiding = false;
let able = true;
let takes = 0;
const say = (message) => process.send(message);
const pulse = () => say({ type: 'pulse', able, stages: [], networks: [], seen: 1, skipped: 0, cpu: 0.1, rssMiB: 50 });

process.on('message', (message) => {
  switch (message.type) {
    case 'start':
      spec = message.spec;
      if (spec.name === 'dies at once') process.exit(3);
      say({ type: 'ready' });
      pulse();
      if (spec.name !== 'says nothing') setInterval(pulse, 200);
      return;
    case 'take': {
      if (spec.name === 'dies at a take') process.kill(process.pid, 'SIGKILL');
      takes += 1;
      if (spec.name === 'is refused twice') {
        able = takes > 2;
        if (!able) return;
      }
      const { start, end, language } = message.take;
      for (let t = start; t < end; t += 40_000) {
        const patch = {
          left: 0,
          top: 0,
          width: 2,
          height: 2,
          y: new Uint8Array(4).fill(9),
          u: new Uint8Array(1),
          v: new Uint8Array(1),
        };
        say({ type: 'driven', language, driven: { start: t, face: 'a', patches: [patch] } });
      }
      return;
    }
    case 'guides':
      guiding = true;
      return;
    case 'said':
      if (guiding) say({ type: 'guide', utterance: message.saying.id, guide: { mouth: [], expression: 0.7 } });
      return;
    case 'picture':
      return say({ type: 'fault', stage: 'picture', kind: String(message.picture.data.length), message: 'got it' });
    case 'stop':
      process.exit(0);
  }
});
process.on('disconnect', () => process.exit(0));
