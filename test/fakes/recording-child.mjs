// Records what it is sent until it is killed, and says how far it was given the programme.
import { Scope } from '../../dist/media/scope.js';
import { RecordingOutlet } from '../../dist/gateway/outlet/recording-outlet.js';

let outlet;
process.on('message', async (message) => {
  if (message.open) {
    const context = { session: 's', name: 'Talk', from: 'en', dateOf: (media) => 1.7e12 + media / 1e3, complain() {} };
    outlet = await RecordingOutlet.open(message.open.spec, message.open.options, context, new Scope('child'));
    outlet.tracks(message.open.tracks);
    process.send({ opened: true });
    return;
  }
  for (const { picture, sound, cue } of message.given) {
    if (picture) outlet.picture(picture);
    if (sound) outlet.sound(sound);
    if (cue) outlet.cue(cue);
  }
  outlet.tick(message.position, message.position);
  // The programme comes many times as fast as a real one; the disk has as long as it would have.
  while (outlet.counts.waiting > 0) await new Promise((done) => setImmediate(done));
  process.send({ position: message.position });
});
