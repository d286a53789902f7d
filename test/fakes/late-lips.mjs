// A picture process that drives every picture it gets within a take, with a grey square, and is as late as the session's
// name says (`spec.name`): `is late` gives every patch when its picture has been played already; `becomes late` gives those
// of the first 800 ms of a take at once and the others like that.
let spec;
let schedule;
const pictures = [];
const takes = [];
const PATIENT = 800_000;
const say = (message) => process.connected && process.send(message);
const now = () => Number(process.hrtime.bigint() / 1_000n);
const pulse = () =>
  say({ type: 'pulse', able: true, stages: [], networks: [], seen: pictures.length, skipped: 0, cpu: 0.1, rssMiB: 50 });

const side = 64;
const square = () => ({
  ...{ left: 16, top: 16, width: side, height: side },
  y: new Uint8Array(side * side).fill(128),
  u: new Uint8Array((side * side) / 4).fill(128),
  v: new Uint8Array((side * side) / 4).fill(128),
});

function drive({ start: begin, end, language }, start) {
  if (start < begin || start >= end) return;
  const tell = () => say({ type: 'driven', language, driven: { start, patches: [square()] } });
  const prompt = spec.name === 'does its work' || (spec.name === 'becomes late' && start < begin + PATIENT);
  if (prompt || !schedule) return tell();
  const played = schedule.anchor.clock + (start - schedule.anchor.media) + schedule.delay;
  setTimeout(tell, Math.max(0, (played - now()) / 1_000 + 100));
}

process.on('message', (message) => {
  switch (message.type) {
    case 'start':
      spec = message.spec;
      say({ type: 'ready' });
      pulse();
      return setInterval(pulse, 200);
    case 'schedule':
      schedule = message;
      return;
    case 'picture': {
      const { start } = message.picture;
      pictures.push(start);
      for (const take of takes) drive(take, start);
      return;
    }
    case 'take':
      takes.push(message.take);
      for (const start of pictures) drive(message.take, start);
      return;
    case 'stop':
      process.exit(0);
  }
});
process.on('disconnect', () => process.exit(0));
