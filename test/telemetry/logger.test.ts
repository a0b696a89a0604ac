import { expect, test } from 'vitest';
import { createLogger } from '../../src/telemetry/logger.ts';

function collect() {
  const lines: string[] = [];
  return { lines, destination: { write: (line: string) => lines.push(line) } };
}

test('writes one JSON object a line, from the level on', () => {
  const { lines, destination } = collect();
  const log = createLogger({ pretty: false, level: 'info', destination });
  log.debug('quiet');
  log.info({ lagMs: 3 }, 'caught up');
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    { level: 30, time: expect.any(Number), lagMs: 3, msg: 'caught up' },
  ]);
});

test('never writes secrets, whoever logs them', () => {
  const { lines, destination } = collect();
  const log = createLogger({ pretty: false, destination });
  log.info({ authorization: 'SECRET', headers: { authorization: 'SECRET', cookie: 'SECRET' } }, 'a');
  log.info({ token: 'SECRET', password: 'SECRET', variables: { a: 'SECRET' }, connectionParams: { b: 'SECRET' } }, 'b');
  log.error({ err: Object.assign(new Error('failed'), { token: 'SECRET', details: { password: 'SECRET' } }) }, 'c');
  expect(lines).toHaveLength(3);
  expect(lines.join('')).not.toContain('SECRET');
  expect(lines.join('')).toContain('[redacted]');
});

test('writes readable lines when asked', () => {
  const { lines, destination } = collect();
  createLogger({ pretty: true, destination: destination as never }).info({ port: 4000 }, 'listening');
  expect(lines.join('')).toContain('listening');
  expect(lines.join('')).not.toContain('"msg"');
});
