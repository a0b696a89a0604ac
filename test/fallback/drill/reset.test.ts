import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';

const RESET = pathToFileURL(join(import.meta.dirname, '../../../src/fallback/drill/reset.ts')).href;
const PROGRAM = `
import { connect, createServer } from 'node:net';
import { resetSocket } from '${RESET}';
const server = createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => {});
  if (process.argv[1] === 'ended') socket.end();
  resetSocket(socket);
}).listen(0, '127.0.0.1', () => {
  const client = connect(server.address().port, '127.0.0.1');
  client.on('error', ({ code }) => console.log(code));
  client.on('close', () => server.close()).resume();
});
`;

describe('resetSocket', () => {
  it.each([
    ['resets a connection', 'open', 'ECONNRESET\n'],
    ['lets a process exit that reset one which was being ended', 'ended', expect.any(String)],
  ])('%s', async (_, state, printed) => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, state], { timeout: 10_000 });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    const [code] = await once(child, 'close');
    expect([code, output]).toEqual([0, printed]);
  });
});
