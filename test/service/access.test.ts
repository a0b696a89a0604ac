import { readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { HoldfastError } from '../../src/errors.ts';
import { Access, type AccessOptions } from '../../src/service/access.ts';
import { tokenHash, tokenId } from '../../src/service/token.ts';
import { TokenFiles } from '../../src/service/token-files.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const NOW = Date.parse('2030-01-01T00:00:00Z');

interface Node {
  readonly access: Access;
  readonly directory: string;
  readonly clock: ManualClock;
  readonly errors: unknown[];
  nowMs: number;
  /** Another process over the same directory. */
  beside(): Access;
}

async function node(options: Partial<AccessOptions> = {}): Promise<Node> {
  const directory = await temporaryDirectory();
  onTestFinished(() => directory[Symbol.asyncDispose]());
  const clock = new ManualClock();
  const errors: unknown[] = [];
  const made = { nowMs: NOW };
  const open = (): Access =>
    new Access({
      files: new TokenFiles(directory.path),
      configured: [],
      onError: (error) => errors.push(error),
      clock,
      now: () => made.nowMs,
      ...options,
    });
  return Object.assign(made, { access: open(), directory: directory.path, clock, errors, beside: open });
}

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
const READER = { name: 'reports', roles: ['reader'], expiresAt: null } as const;
const REFUSED = expect.objectContaining({ code: 'UNAUTHENTICATED' });

test('lets in who holds a token, under its id and with its roles', async () => {
  const { access } = await node();
  const { token, secret } = access.create({ name: 'ci', roles: ['reader', 'operator', 'reader'], expiresAt: null });
  expect(secret).toMatch(/^hf_[\w-]{43}$/);
  expect(access.authenticate(bearer(secret))).toEqual({ principal: token.id, roles: ['reader', 'operator'] });
  expect(access.create(READER).secret).not.toBe(access.create(READER).secret);
});

test('keeps no token on disk or in what it lists, and the files for its owner only', async () => {
  const { access, directory } = await node();
  const { secret } = access.create(READER);
  access.authenticate(bearer(secret));
  access.stop();
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  expect(files).toHaveLength(2);
  for (const { parentPath, name } of files) {
    const path = join(parentPath, name);
    expect(readFileSync(path, 'utf8')).not.toContain(secret.slice(3));
    expect(statSync(path).mode & 0o777).toBe(0o600);
  }
  expect(statSync(join(directory, 'tokens')).mode & 0o777).toBe(0o700);
  expect(JSON.stringify(access.list())).not.toContain(secret.slice(3));
  expect(JSON.stringify(access.list())).not.toContain(tokenHash(secret));
});

test.each([
  ['nothing', undefined],
  ['no scheme', 'hf_0000000000000000000000000000000000000000000'],
  ['another scheme', 'Basic aGY6eA=='],
  ['a short token', 'Bearer hf_abc'],
  ['a token nobody has', `Bearer hf_${'A'.repeat(43)}`],
  ['a token with more behind it', `Bearer hf_${'A'.repeat(43)} x`],
  ['characters that look alike', `Bearer hf_${'А'.repeat(43)}`],
  ['control characters', `Bearer hf_${'A'.repeat(42)}\u0000`],
  ['100,000 characters', `Bearer ${'h'.repeat(100_000)}`],
  ['100,000 blanks', `Bearer${' '.repeat(100_000)}x`],
])('refuses %s without repeating it', async (_name, authorization) => {
  const { access } = await node();
  access.create(READER);
  const headers = authorization === undefined ? {} : { authorization };
  let thrown: unknown;
  try {
    access.authenticate({ headers });
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toEqual(REFUSED);
  const { message, details } = thrown as HoldfastError;
  expect(details).toEqual({});
  expect(message).not.toContain('A'.repeat(20));
});

test('compares the whole hash, not only the part it is found by', async () => {
  const secret = `hf_${'B'.repeat(43)}`;
  const hash = tokenHash(secret);
  const other = `${hash.slice(0, 63)}${hash.endsWith('0') ? '1' : '0'}`;
  const right = await node({ configured: [{ name: 'right', hash, roles: ['reader'] }] });
  expect(right.access.authenticate(bearer(secret)).roles).toEqual(['reader']);
  const wrong = await node({ configured: [{ name: 'wrong', hash: other, roles: ['reader'] }] });
  expect(wrong.access.list()[0]?.id).toBe(tokenId(hash));
  expect(() => wrong.access.authenticate(bearer(secret))).toThrow(REFUSED);
});

test('refuses a token from the moment at which it expires', async () => {
  const made = await node();
  const { secret } = made.access.create({ ...READER, expiresAt: new Date(NOW + 1_000).toISOString() });
  const holder = made.access.authenticate(bearer(secret));
  made.nowMs = NOW + 999;
  expect(made.access.isCurrent(holder)).toBe(true);
  made.nowMs = NOW + 1_000;
  expect(made.access.isCurrent(holder)).toBe(false);
  expect(() => made.access.authenticate(bearer(secret))).toThrow(REFUSED);
  expect(made.access.isEmpty).toBe(true);
});

test('a revocation holds at once, and over a restart', async () => {
  const { access, beside } = await node();
  const { token, secret } = access.create(READER);
  const holder = access.authenticate(bearer(secret));
  const { revokedAt } = access.revoke(token.id);
  expect(revokedAt).toBe('2030-01-01T00:00:00.000Z');
  expect(access.isCurrent(holder)).toBe(false);
  expect(() => access.authenticate(bearer(secret))).toThrow(REFUSED);
  expect(() => beside().authenticate(bearer(secret))).toThrow(REFUSED);
  expect(access.revoke(token.id).revokedAt).toBe(revokedAt);
});

test('accepts what another process makes at once, whatever it knew before, and sees a revocation at its next look', async () => {
  const { access, beside, clock } = await node();
  access.run();
  onTestFinished(() => access.stop());
  const other = beside();
  const first = other.create(READER);
  await clock.advance(400);
  access.authenticate(bearer(first.secret));
  const { token, secret } = other.create(READER);
  const holder = access.authenticate(bearer(secret));
  beside().revoke(token.id);
  await clock.advance(400);
  expect(access.isCurrent(holder)).toBe(false);
});

test('sees a change in the same tick of the file system as one before it', async () => {
  const { access, beside, directory, clock } = await node();
  access.run();
  onTestFinished(() => access.stop());
  const other = beside();
  const { token, secret } = other.create(READER);
  const tick = new Date(); // the time that the directory keeps
  utimesSync(join(directory, 'tokens'), tick, tick);
  await clock.advance(400);
  access.authenticate(bearer(secret));
  other.revoke(token.id);
  utimesSync(join(directory, 'tokens'), tick, tick);
  await clock.advance(400);
  expect(() => access.authenticate(bearer(secret))).toThrow(REFUSED);
});

test('a file that cannot be read lets nobody in, is told once, and harms no other token', async () => {
  const { access, directory, errors, clock } = await node();
  const good = access.create(READER);
  const bad = access.create(READER);
  access.run();
  onTestFinished(() => access.stop());
  const file = join(directory, 'tokens', `${bad.token.id}.json`);
  writeFileSync(file, '{"id":');
  await clock.advance(2_000);
  utimesSync(join(directory, 'tokens'), new Date(), new Date());
  await clock.advance(2_000);
  expect(() => access.authenticate(bearer(bad.secret))).toThrow(REFUSED);
  access.authenticate(bearer(good.secret));
  expect(errors).toEqual([expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(file) })]);
});

test.each([
  ['without a name', { ...READER, name: ' ' }],
  ['with a name too long', { ...READER, name: 'x'.repeat(101) }],
  ['without a role', { ...READER, roles: [] }],
  ['that has expired', { ...READER, expiresAt: new Date(NOW).toISOString() }],
  ['that expires at no time', { ...READER, expiresAt: 'soon' }],
])('makes no token %s', async (_name, request) => {
  const { access } = await node();
  expect(() => access.create(request)).toThrow(expect.objectContaining({ code: 'VALIDATION_FAILED' }));
  expect(access.list()).toEqual([]);
});

test('does not revoke what is not there', async () => {
  const { access } = await node();
  expect(() => access.revoke('../../etc/passwd')).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
});

test('says so when the directory cannot be written', async () => {
  const { directory } = await node();
  const access = new Access({ files: new TokenFiles(join(directory, 'data')), configured: [], onError: () => {} });
  writeFileSync(join(directory, 'data'), '');
  expect(() => access.create(READER)).toThrow(expect.objectContaining({ code: 'DATA_UNWRITABLE' }));
});

test('remembers when a token was last used, over a restart', async () => {
  const { access, beside, clock } = await node();
  access.run();
  const { secret } = access.create(READER);
  expect(access.list()[0]?.lastUsedAt).toBeNull();
  access.authenticate(bearer(secret));
  await clock.advance(60_000);
  expect(beside().list()[0]?.lastUsedAt).toBe('2030-01-01T00:00:00.000Z');
  access.stop();
});

test('accepts the tokens of its source, also after a restart without it', async () => {
  const source = await node();
  const replica = await node();
  const { secret } = source.access.create(READER);
  expect(() => replica.access.authenticate(bearer(secret))).toThrow(REFUSED);
  replica.access.adopt(source.access.accepted());
  const holder = replica.access.authenticate(bearer(secret));
  expect(replica.beside().authenticate(bearer(secret))).toEqual(holder);
  expect(replica.access.list()[0]).toMatchObject({ name: 'reports', origin: 'SOURCE' });
  replica.access.adopt([]);
  expect(replica.access.isCurrent(holder)).toBe(false);
});

test('a token of the source can be revoked here, for good', async () => {
  const source = await node();
  const replica = await node();
  const { token, secret } = source.access.create(READER);
  replica.access.adopt(source.access.accepted());
  replica.access.revoke(token.id);
  expect(() => replica.access.authenticate(bearer(secret))).toThrow(REFUSED);
  source.access.create(READER);
  replica.access.adopt(source.access.accepted());
  expect(() => replica.access.authenticate(bearer(secret))).toThrow(REFUSED);
  expect(replica.access.accepted()).toHaveLength(1);
});

test('tells its tokens to those who follow, now and after each change, and never a revoked one', async () => {
  const { access } = await node();
  const first = access.create(READER).token.id;
  const over = new AbortController();
  const changes = access.changes(over.signal);
  const told = async () => (await changes.next()).value?.map(({ id }) => id).sort();
  expect(await told()).toEqual([first]);
  const second = access.create(READER).token.id;
  expect(await told()).toEqual([first, second].sort());
  access.revoke(first);
  expect(await told()).toEqual([second]);
  access.list(); // looks at the disk, where nothing is new
  const end = changes.next();
  over.abort();
  expect(await end).toEqual({ done: true, value: undefined });
});
