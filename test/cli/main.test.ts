import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.ts';
import { run } from './run.ts';

function fileWith(name: string, text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, name);
  writeFileSync(file, text);
  return file;
}

describe('holdfast --help', () => {
  it('lists the commands and the exit codes', async () => {
    const { code, stdout } = await run('--help');
    expect(code).toBe(0);
    for (const { name } of COMMANDS) expect(stdout).toContain(`  ${name.split(' ')[0]}`);
    expect(stdout).toContain('Exit codes: 0 ok, 1 failed, 2 usage or configuration');
  });

  it.each(COMMANDS.map(({ name, example }) => [name, example]))('shows an example of %s', async (name, example) => {
    const { code, stdout } = await run(...name.split(' '), '--help');
    expect(code).toBe(0);
    expect(stdout).toContain(`Example:\n  ${example}`);
    expect(stdout).toContain('--json');
    expect(stdout).toContain('--config <file>');
  });
});

it('prints its version', async () => {
  expect(await run('--version')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
});

describe('a mistake on the command line', () => {
  it.each([
    [['config', 'print', '--jsno'], "unknown option '--jsno'\n(Did you mean --json?)"],
    [['confg'], "unknown command 'confg'\n(Did you mean config?)"],
    [['schema', 'chekc'], "unknown command 'chekc'\n(Did you mean check?)"],
    [['config', 'print', 'more'], 'too many arguments'],
    [['import', 'Teacher'], "missing required argument 'file'"],
  ])('%j exits 2 and says what is meant', async (args, message) => {
    const { code, stdout, stderr } = await run(...args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain(message);
  });

  it('is one JSON document with --json', async () => {
    const { code, stdout } = await run('config', 'print', '--json', '--nope');
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'USAGE' } });
  });
});

describe('an error', () => {
  it('is one block: code, what, remedy; without stack', async () => {
    const { code, stdout, stderr } = await run('config', 'validate', '--config', '/does/not/exist.yaml');
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toBe(
      'error CONFIG_INVALID: the configuration file /does/not/exist.yaml does not exist\n' +
        '  Correct the key the message names; `holdfast config print` shows what was read.\n',
    );
  });

  it('is also a JSON document on stdout with --json', async () => {
    const { stdout } = await run('config', 'validate', '--json', '--config', '/does/not/exist.yaml');
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'CONFIG_INVALID', retryable: false } });
  });
});

describe('holdfast config', () => {
  it('prints no token, and no hash of one', async () => {
    const hash = 'ab'.repeat(32);
    const path = fileWith(
      'secrets.yaml',
      `auth: { tokens: [{ name: a, hash: "${hash}", roles: [reader] }] }\nreplica: { token: hf_secret }\n`,
    );
    for (const json of [[], ['--json']]) {
      const { stdout } = await run('config', 'print', '--config', path, ...json);
      expect(stdout).toContain('***');
      expect(stdout).not.toMatch(new RegExp(`${hash}|hf_secret`));
    }
  });

  const file = () =>
    fileWith('c.yaml', 'server: { port: 5000 }\nreplica: { primary: ["wss://me:secret@host/graphql"] }\n');

  it('print shows each value with its origin, and no secret', async () => {
    const path = file();
    const { code, stdout } = await run('config', 'print', '--config', path);
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^server\\.port +5000 +${path}$`, 'm'));
    expect(stdout).toMatch(/^server\.opsPort +4001 +default$/m);
    expect(stdout).toContain('wss://me:***@host/graphql');
    expect(stdout).not.toContain('secret');
  });

  it('print --json gives keys, values, origins and variables', async () => {
    const path = file();
    const { stdout } = await run('config', 'print', '--json', '--config', path);
    expect(JSON.parse(stdout)).toMatchObject({
      file: path,
      keys: expect.arrayContaining([
        { key: 'server.port', value: 5000, origin: path, variable: 'HOLDFAST_SERVER_PORT' },
        {
          key: 'replica.primary',
          value: ['wss://me:***@host/graphql'],
          origin: path,
          variable: 'HOLDFAST_REPLICA_PRIMARY',
        },
      ]),
    });
  });

  it('validate answers whether it is valid', async () => {
    const path = file();
    expect(await run('config', 'validate', '--config', path)).toMatchObject({ code: 0, stdout: `valid: ${path}\n` });
    expect(await run('config', 'validate', '--config', path, '--role', 'boss')).toMatchObject({ code: 2 });
  });
});
