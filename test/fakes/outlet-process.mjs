// A scripted outlet process: speaks gateway/outlet/ipc.ts and makes nothing. What it is told of its tracks it tells as counts.
const say = (message) => process.connected && process.send(message);
process.on('disconnect', () => process.exit(0));
process.on('message', (message) => {
  if (message.type === 'start') say({ type: 'ready', rtp: 9, http: 9 });
  if (message.type === 'stop') process.exit(0);
  if (message.type !== 'tracks') return;
  say({ type: 'counts', counts: Object.fromEntries(message.tracks.map(({ id, codec }) => [id, { [codec]: 1 }])) });
});
