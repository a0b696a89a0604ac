import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { Access } from '../../src/service/access.ts';
import { tokenHash } from '../../src/service/token.ts';
import { TokenFiles } from '../../src/service/token-files.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { run } from './run.ts';

let data = '';

beforeEach(async () => {
  const directory = await temporaryDirectory();
  data = join(directory.path, 'data');
  onTestFinished(() => directory[Symbol.asyncDispose]());
});

/** Runs `holdfast token …` over the data directory of the test. */
const token = (...args: string[]) => run('token', ...args, '--data', data);

/** What a process over the directory would accept. */
const access = () => new Access({ files: new TokenFiles(data), configured: [], onError: () => {} });
const bearer = (secret: string) => ({ headers: { authorization: `Bearer ${secret.trim()}` } });

it('makes a token, alone on stdout, that is accepted until it is revoked', async () => {
  const made = await token('create', '--name', 'ci', '--role', 'reader', '--role', 'operator');
  expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/^hf_[\w-]{43}\n$/) });
  expect(made.stderr).toContain('for ci (reader, operator), does not expire; it is shown only now');
  expect(made.stderr).not.toContain(made.stdout.trim());
  const { principal, roles } = access().authenticate(bearer(made.stdout));
  expect(roles).toEqual(['reader', 'operator']);
  const listed = await token('list');
  expect(listed.stdout).toMatch(new RegExp(`${principal} +ci +reader,operator +valid `));
  expect(listed.stdout).not.toContain(made.stdout.trim());
  expect(await token('revoke', principal)).toMatchObject({ code: 0, stdout: expect.stringContaining('is revoked') });
  expect(() => access().authenticate(bearer(made.stdout))).toThrow('not accepted');
  expect((await token('list')).stdout).toContain('revoked');
});

it('gives everything as one JSON document', async () => {
  const made = await token('create', '--name', 'ci', '--role', 'admin', '--expires', '30d', '--json');
  const { secret, expiresAt, ...rest } = JSON.parse(made.stdout);
  expect(rest).toMatchObject({ name: 'ci', roles: ['admin'], revokedAt: null });
  expect(Date.parse(expiresAt) - Date.parse(rest.createdAt)).toBeGreaterThan(29 * 86_400_000);
  expect(access().authenticate(bearer(secret)).principal).toBe(rest.id);
  expect(JSON.parse((await token('list', '--json')).stdout)).toMatchObject({ tokens: [{ id: rest.id }] });
});

it('prints an entry for the configuration, and stores nothing', async () => {
  const { stdout } = await token('create', '--name', 'fixed', '--role', 'reader', '--entry', '--json');
  const { secret, entry } = JSON.parse(stdout);
  expect(entry).toEqual({ name: 'fixed', hash: tokenHash(secret), roles: ['reader'] });
  expect(access().list()).toEqual([]);
});

it.each([
  ['no name', ['--role', 'reader'], 'name who will hold the token'],
  ['no role', ['--name', 'x'], 'say what it may'],
  ['an unknown role', ['--name', 'x', '--role', 'root'], 'root is no role'],
  ['a time that is none', ['--name', 'x', '--role', 'reader', '--expires', 'soon'], 'soon is no time'],
  ['a time that is over', ['--name', 'x', '--role', 'reader', '--expires', '2001-01-01'], 'not in the future'],
])('refuses %s as a mistake of usage', async (_name, args, message) => {
  const { code, stderr } = await token('create', ...args);
  expect(code).toBe(2);
  expect(stderr).toContain(message);
  expect(access().list()).toEqual([]);
});

it('says when there is no such token', async () => {
  expect(await token('revoke', 'abc')).toMatchObject({ code: 1, stderr: expect.stringContaining('NOT_FOUND') });
});

it('names a file of a token that cannot be read, and lists the others', async () => {
  await token('create', '--name', 'good', '--role', 'reader');
  const broken = join(data, 'tokens', '0123456789abcdef.json');
  writeFileSync(broken, '{}');
  const { code, stdout, stderr } = await token('list');
  expect(code).toBe(0);
  expect(stdout).toContain('good');
  expect(stderr).toContain(`warning: ${broken} is no file of tokens`);
});

it('keeps the demo, which serves everybody, from starting where callers need a token', async () => {
  const file = join(data, '..', 'config.yaml');
  writeFileSync(file, 'auth: { mode: token }');
  const { code, stderr } = await run('demo', '--config', file, '--data', data);
  expect(code).toBe(2);
  expect(stderr).toContain('leave auth.mode at none');
});
