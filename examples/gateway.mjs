// A small gateway that clears its own stale instance when it starts, by the npm package `portclear`.
//
//   $ PORTCLEAR=target/debug/portclear node examples/gateway.mjs 18789
//
// PORTCLEAR is the path of the program. A project that installed the package needs no path.
//
// Its instances are told by the package that this script lies in: the `name` in the nearest package.json, which must
// not be that of anything else. Leave process.title alone: it overwrites the command line that names the script. A
// service that needs a title is told by a variable that its unit sets: `--runtime node --marker MY_GATEWAY=1`.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

// In your project: from 'portclear'
import { clear } from '../npm/portclear/index.js';

const port = Number(process.argv[2] ?? 18789);
const { name } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'));

const server = createServer((request, response) => response.end(`${process.pid}\n`));

process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});

const listen = () => new Promise((done, fail) => {
  server.once('error', fail);
  server.listen(port, '127.0.0.1', () => {
    server.off('error', fail);
    done();
  });
});

// A free port costs nothing but the listen. Another server may be faster after a clear: the next look decides.
const start = async () => {
  for (let attempts = 5; ; attempts -= 1) {
    try {
      return await listen();
    } catch (error) {
      if (error.code !== 'EADDRINUSE' || attempts === 0) throw error;
    }
    const report = await clear(`127.0.0.1:${port}`, { package: name, program: process.env.PORTCLEAR });
    const [answer] = report.ports;
    if (answer.exit !== 0) {
      const holders = answer.holders.map((holder) => `\n  ${holder.exe ?? holder.comm} (pid ${holder.pid}): ${holder.reason}`);
      throw new Error(`port ${port}: ${answer.sentence}${holders.join('')}`);
    }
  }
};

start().then(
  () => console.log(`pid ${process.pid} listens on 127.0.0.1:${port}`),
  (error) => {
    console.error(`gateway: ${error.message}`);
    process.exitCode = 1;
  },
);
