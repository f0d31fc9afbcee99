// Clears a port from a Node server: it runs the program with --json, and gives its document.
import { spawn } from 'node:child_process';

import { failure, program } from './program.js';

// The program's own options, in camel case, but for --signal: in Node, `signal` is an AbortSignal. The program checks
// their values.
const FLAGS = ['anyOwner', 'live', 'noKill', 'offspring', 'sweep', 'tree'];
const VALUES = ['exe', 'firstSignal', 'grace', 'marker', 'package', 'pidFile', 'protect', 'runtime', 'service', 'settle'];
const TIMES = ['grace', 'settle'];
const OURS = ['program', 'signal'];

const dashed = (name) => (name === 'firstSignal' ? '--signal' : `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`);

const wrong = (message) => failure('ERR_ARGUMENTS', message);

// A value stands in one word with its option, so it is never taken for an option itself.
const words = (name, value) => {
  if (OURS.includes(name) || value === undefined) return [];
  if (FLAGS.includes(name)) {
    if (typeof value !== 'boolean') throw wrong(`${name} is true or false`);
    return value ? [dashed(name)] : [];
  }
  if (!VALUES.includes(name)) throw wrong(`there is no option ${name}`);
  return [value].flat().map((one) => {
    const isPid = name === 'protect' && Number.isInteger(one);
    if (typeof one !== 'string' && !isPid) throw wrong(`${name} is a string${TIMES.includes(name) ? ", like '10s'" : ''}`);
    return `${dashed(name)}=${one}`;
  });
};

const ask = async (ports, options, looks) => {
  const { signal } = options;
  if (typeof signal === 'string') throw wrong('signal is an AbortSignal; the signal that portclear sends first is firstSignal');
  const all = [ports].flat().map(String);
  const more = Object.entries(options).flatMap(([name, value]) => words(name, value));
  const path = options.program ?? program();
  signal?.throwIfAborted();
  const args = ['--json', ...(looks ? ['--dry-run'] : []), ...more, '--', ...all];
  const { status, ended, output, errors } = await run(path, args, signal);
  // The program has ended. It signals nobody any more.
  signal?.throwIfAborted();
  if (status === 2) throw wrong(errors.replace(/^error: /, '').split('\n\n')[0].trim());
  try {
    return JSON.parse(output);
  } catch {
    throw failure('ERR_NO_ANSWER', `${path} gave no answer (${ended ?? `exit ${status}`}): ${errors.trim()}`);
  }
};

const run = (path, args, signal) => new Promise((done, fail) => {
  const child = spawn(path, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const text = { output: '', errors: '' };
  const stop = () => child.kill('SIGTERM');
  signal?.addEventListener('abort', stop);
  child.stdout.setEncoding('utf8').on('data', (part) => { text.output += part; });
  child.stderr.setEncoding('utf8').on('data', (part) => { text.errors += part; });
  child.on('error', (error) => {
    signal?.removeEventListener('abort', stop);
    fail(failure('ERR_NO_PROGRAM', `cannot run ${path}: ${error.message}`));
  });
  child.on('close', (status, ended) => {
    signal?.removeEventListener('abort', stop);
    done({ status, ended, ...text });
  });
});

export const clear = (ports, options = {}) => ask(ports, options, false);

export const inspect = (ports, options = {}) => ask(ports, options, true);
