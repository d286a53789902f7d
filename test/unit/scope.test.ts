import { expect, test } from 'vitest';
import { Scope } from '../../media/scope.ts';

test('closes last in, first out, once, children included', async () => {
  const log: string[] = [];
  const session = new Scope('session');
  session.defer(() => log.push('socket'));
  const stage = session.child('asr');
  stage.defer(async () => {
    await Promise.resolve();
    log.push('model');
  });
  session.defer(() => log.push('timer'));
  await Promise.all([session.close(), session.close()]);
  expect(log).toEqual(['timer', 'model', 'socket']);
  expect(stage.signal.aborted).toBe(true);
});

test('a child that closes alone leaves its parent running', async () => {
  const session = new Scope('session');
  await session.child('lips').close();
  expect(session.signal.aborted).toBe(false);
});

test('every closer runs even when one fails', async () => {
  const log: string[] = [];
  const scope = new Scope('session');
  scope.defer(() => log.push('first'));
  scope.defer(() => Promise.reject(new Error('stuck')));
  await expect(scope.close()).rejects.toThrow('1 closers failed');
  expect(log).toEqual(['first']);
});

test('deferring after close runs at once', async () => {
  const scope = new Scope('late');
  await scope.close();
  let ran = false;
  scope.defer(() => (ran = true));
  expect(ran).toBe(true);
});
