import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../support/temporary.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
const INSTALL = join(ROOT, 'test/support/servers/install.ts');

/** Runs a program of ours where PATH leads to no server, and nothing can be installed. */
function runWithout(args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
  const env = { ...process.env, MONGODB_URL: '', MONGODB_COMMAND: '', CI: '', PATH: '', ...environment };
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, env, encoding: 'utf8' });
  return { status, output: stripVTControlCharacters(stdout + stderr) };
}

describe('where there is no server', () => {
  const tests = [
    join(ROOT, 'node_modules/vitest/vitest.mjs'),
    ...['run', '--project', 'servers', '--reporter', 'verbose', 'test/servers/support/server.redis.test.ts'],
  ];

  it('its tests are skipped, with the reason', () => {
    const { status, output } = runWithout(tests);
    expect(output).toContain('a Redis server of a test > no Redis: install redis-server');
    expect(output).toMatch(/1 skipped/);
    expect(status).toBe(0);
  });

  it('its tests fail in continuous integration, with the reason', () => {
    const { status, output } = runWithout(tests, { CI: 'true' });
    expect(output).toContain('Error: no Redis: install redis-server');
    expect(status).toBe(1);
  });

  it('one line names what to install', () => {
    const { status, output } = runWithout([INSTALL]);
    expect(output).toMatch(/^servers: to run every test, install redis-server .*maven default-jdk-headless$/m);
    expect(output).toMatch(
      /^servers: tests of mongodb skipped: no MongoDB: mvn, javac, java not found; set MONGODB_URL/m,
    );
    expect(status).toBe(0);
  });

  it.runIf(process.getuid?.() === 0)('what is missing is installed by root on a Debian', async () => {
    await using directory = await temporaryDirectory();
    writeFileSync(join(directory.path, 'apt-get'), '#!/bin/sh\necho "$@" >> "$0.log"\n', { mode: 0o755 });
    const { status, output } = runWithout([INSTALL], { PATH: directory.path });
    const asked = readFileSync(join(directory.path, 'apt-get.log'), 'utf8').trim().split('\n');
    expect(asked[0]).toBe('update -qq');
    expect(asked[1]).toMatch(/^install -y -qq --no-install-recommends redis-server .*maven default-jdk-headless$/);
    expect(output).toMatch(/^servers: installing redis-server /m);
    expect(status).toBe(0);
  });
});
