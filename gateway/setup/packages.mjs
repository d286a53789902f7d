import { spawnSync } from 'node:child_process';
import { run } from './child.mjs';
import { Trouble } from './trouble.mjs';

/** Debian 12 packages without which a session cannot run. */
export const RUN_PACKAGES = [
  'ffmpeg', // files in, files out, the sample programme
  'libavcodec59', // pictures in and out, for driven lips
  'libopus0', // the codec of the live loop
  'libpocketsphinx3', // recognition
  'pocketsphinx-en-us',
  'apertium', // translation
  'apertium-eng-spa',
  'espeak-ng', // voices, with phoneme times
  'libespeak-ng1',
  'flite', // English voices
  'libflite1',
  'libnss3', // the mediasoup worker's SRTP
  'fonts-dejavu-core', // letters in the sample programme
];
/** What only the tests need. */
export const TEST_PACKAGES = ['chromium', 'redis-server', 'apertium-eng-cat']; // the last for a second language to switch to
/** What only a build of the mediasoup worker needs. */
export const BUILD_PACKAGES = [
  'g++',
  'cmake',
  'ninja-build',
  'pkg-config',
  'flatbuffers-compiler',
  'libflatbuffers-dev',
  'libabsl-dev',
  'libssl-dev',
  'libuv1-dev',
  'libsrtp2-dev',
  'libusrsctp-dev',
];
/** The same under Homebrew's names. Apertium has no formula: its own installer is at https://wiki.apertium.org. */
export const BREW_FORMULAE = ['ffmpeg', 'opus', 'espeak-ng', 'flite', 'cmu-pocketsphinx', 'nss'];

const APT = ['-y', '-qq', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300'];

/** Those of `names` that `dpkg-query -W -f '${Package} ${Status}\n'` does not report as installed. */
export function missingFrom(report, names) {
  const installed = new Set(
    report
      .split('\n')
      .filter((line) => line.endsWith(' install ok installed'))
      .map((line) => line.split(' ')[0].replace(/:.*/, '')),
  );
  return names.filter((name) => !installed.has(name));
}

/** Those of `names` that are not installed; `undefined` where there is no dpkg to ask. */
export function missingPackages(names) {
  const query = spawnSync('dpkg-query', ['-W', '-f', '${Package} ${Status}\n', ...names], { encoding: 'utf8' });
  return query.error ? undefined : missingFrom(query.stdout, names);
}

export const installCommand = (names, sudo = true) =>
  `${sudo ? 'sudo ' : ''}apt-get update && ${sudo ? 'sudo ' : ''}apt-get install -y --no-install-recommends ${names.join(' ')}`;

/** How this user can install packages: the words before `apt-get`, or `undefined` when only a person can. */
function privilege() {
  if (process.getuid?.() === 0) return [];
  return spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0 ? ['sudo', '-n'] : undefined;
}

/** How far apt is, 0 to 1, from a line of its status file descriptor; downloads are the first half. */
export function aptFraction(line) {
  const [kind, , percent] = line.split(':');
  const done = Number(percent) / 100;
  if (!Number.isFinite(done)) return undefined;
  return kind === 'dlstatus' ? done / 2 : kind === 'pmstatus' ? 0.5 + done / 2 : undefined;
}

/**
 * Installs Debian packages.
 *
 * @param say called with what is being done and how far it is
 * @throws Trouble with the command to type when this user may not
 */
export async function installPackages(names, say) {
  const as = privilege();
  if (!as)
    throw new Trouble(
      `This user is not root, and Debian packages are missing: ${names.join(', ')}.`,
      installCommand(names),
    );
  const env = { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' };
  const apt = (args, options = {}) => {
    const [command, ...rest] = [...as, 'apt-get', ...args];
    return run(command, rest, { env, ...options });
  };
  const short = names.length > 4 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');
  say('reading the package lists');
  // A list that cannot be refreshed may still be good enough to install from: the next command decides.
  await apt(['update', '-qq']).catch((thrown) => say(String(thrown.message).split('\n')[0]));
  say(short, 0);
  // sudo closes file descriptor 3, so only root gets percentages.
  const status = (line) => {
    const fraction = aptFraction(line);
    if (fraction !== undefined) say(short, fraction);
  };
  try {
    if (as.length) await apt(['install', ...APT, ...names]);
    else await apt(['install', ...APT, '-o', 'APT::Status-Fd=3', ...names], { status });
  } catch (cause) {
    throw new Trouble(`apt-get could not install ${short}: ${cause.message}`, installCommand(names, as.length > 0), {
      cause,
    });
  }
}

/** Homebrew formulae that are not installed; all of them where there is no Homebrew. */
export function missingFormulae() {
  const list = spawnSync('brew', ['list', '--formula', '-1'], { encoding: 'utf8' });
  const installed = new Set(list.error ? [] : list.stdout.split('\n'));
  return BREW_FORMULAE.filter((name) => !installed.has(name));
}
