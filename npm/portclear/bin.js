#!/usr/bin/env node
// `npx portclear`: runs the program in its place.
import { spawn } from 'node:child_process';

import { program } from './program.js';

const fail = (error) => {
  console.error(`portclear: ${error.message}`);
  process.exitCode = 1;
};

const run = (path) => {
  const child = spawn(path, process.argv.slice(2), { stdio: 'inherit' });
  child.on('error', fail);
  // Ctrl-C reaches the program as well. The program stops its wait, and says what it has done.
  process.on('SIGINT', () => {});
  for (const signal of ['SIGHUP', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  child.on('exit', (status, signal) => {
    if (signal === null) {
      process.exitCode = status;
      return;
    }
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
};

try {
  run(program());
} catch (error) {
  fail(error);
}
