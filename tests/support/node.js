'use strict';
// A gateway that node runs. It speaks the wire of fixture.py, and knows only the commands `signals`, `spawn` and `open`.
const fs = require('node:fs');
const net = require('node:net');
const readline = require('node:readline');
const { fork, spawn } = require('node:child_process');

const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');

if (process.argv[2] === 'worker') {
  // The channel closes when the parent ends, however that happens.
  process.on('disconnect', () => process.exit(0));
  process.send('up');
} else {
  const config = JSON.parse(process.env.FIXTURE);
  if (config.title) process.title = config.title;
  let draining = false;
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2']) {
    process.on(name, () => {
      say({ signal: name.slice(3), pid: process.pid });
      if (config.on_term === 'ignore') return;
      if (config.on_term === 'exit' || draining) process.exit(draining ? 1 : 0);
      draining = true;
      setTimeout(() => process.exit(0), config.on_term);
    });
  }
  const listen = (where) => new Promise((done) => {
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', () => {});
      socket.write(`${process.pid} ${config.name}\n`);
    });
    server.listen(where, done);
  });
  const at = ({ at, kind }) => {
    const [, host, port] = at.match(/^\[?(.*?)\]?:(\d+)$/);
    return { host, port: Number(port), ipv6Only: kind === 'v6only' };
  };
  const worker = () => new Promise((done) => {
    const child = fork(__filename, ['worker'], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    child.once('message', () => done(child.pid));
  });
  // In a unit, standard input is /dev/null.
  if (config.commanded ?? true) {
    const input = readline.createInterface({ input: process.stdin });
    input.on('line', (line) => {
      const { do: word, argv, env, stdin, stdout, path } = JSON.parse(line);
      if (word === 'open') fs.openSync(path, fs.constants.O_WRONLY);
      if (word === 'spawn') {
        const stdio = [fs.openSync(stdin, 'r'), fs.openSync(stdout, 'w'), 'inherit'];
        spawn(argv[0], argv.slice(1), { env, stdio });
        stdio.slice(0, 2).forEach((fd) => fs.closeSync(fd));
      }
      // One turn of the loop later, a signal that came before the command has been seen.
      setImmediate(() => setImmediate(() => say({ reply: null })));
    });
    input.on('close', () => process.exit(0));
  }
  (async () => {
    for (const socket of config.sockets) await listen(at(socket));
    for (const fd of config.inherit ?? []) await listen({ fd });
    const workers = [];
    for (let i = 0; i < (config.workers ?? 0); i += 1) workers.push(await worker());
    for (const [program, ...argv] of config.spawns ?? []) spawn(program, argv, { stdio: 'inherit' });
    // After an exec nobody waits for this.
    if (!config.inherit) say({ reply: { pid: process.pid, workers } });
  })();
}
