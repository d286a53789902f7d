import { spawn } from 'node:child_process';

/** The last lines of a program's output, kept for when it fails. */
const TAIL = 40;

/**
 * Runs a program to its end, quietly.
 *
 * @param options.onLine called with every line of stdout and stderr
 * @param options.status called with every line the program writes to file descriptor 3
 * @returns its output's last {@link TAIL} lines
 * @throws Error with those lines when it does not exit with 0
 */
export function run(command, args, { env = {}, cwd, onLine = () => {}, status } = {}) {
  return new Promise((resolve, reject) => {
    const stdio = ['ignore', 'pipe', 'pipe', ...(status ? ['pipe'] : [])];
    const child = spawn(command, args, { cwd, stdio, env: { ...process.env, ...env } });
    const tail = [];
    const keep = (line) => {
      tail.push(line);
      if (tail.length > TAIL) tail.shift();
      onLine(line);
    };
    lines(child.stdout, keep);
    lines(child.stderr, keep);
    if (status) lines(child.stdio[3], status);
    child.on('error', (cause) => reject(new Error(`${command} cannot be started: ${cause.message}`, { cause })));
    child.on('close', (code, signal) => {
      if (code === 0) return resolve(tail);
      reject(new Error(`${command} ${args[0] ?? ''} ended with ${signal ?? code}:\n${tail.join('\n')}`));
    });
  });
}

/** Calls `onLine` with each line of `stream`; a carriage return ends a line too, as progress bars use it. */
function lines(stream, onLine) {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text) => {
    const parts = (rest + text).split(/[\r\n]+/);
    rest = parts.pop() ?? '';
    for (const part of parts) if (part) onLine(part);
  });
  stream.on('end', () => rest && onLine(rest));
}

/**
 * Runs a program in our place: it has our terminal, our signals reach it, and its exit code is returned
 * (128 + the signal's number when a signal ended it, as a shell says it).
 */
export function become(command, args, { env = {}, cwd } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: 'inherit', env: { ...process.env, ...env } });
    // Ctrl-C in a terminal already goes to the whole group, so there we only stay alive to report the exit code.
    const forward = (signal) => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    };
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    for (const signal of signals) process.on(signal, forward);
    const done = () => signals.forEach((signal) => process.off(signal, forward));
    child.on('error', (cause) => (done(), reject(cause)));
    child.on('close', (code, signal) => (done(), resolve(code ?? 128 + (SIGNAL_NUMBER[signal] ?? 0))));
  });
}

const SIGNAL_NUMBER = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGABRT: 6, SIGKILL: 9, SIGSEGV: 11, SIGTERM: 15 };
