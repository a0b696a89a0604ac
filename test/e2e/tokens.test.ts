import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { ACCESS_ROLES, type AccessRole } from '../../src/config.ts';
import { eventually } from '../support/eventually.ts';
import { type Answer, post } from '../support/graphql.ts';
import { freePort, type HoldfastProcess, runHoldfast, startHoldfast } from '../support/holdfast.ts';
import { THING } from '../support/nodes.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const TOKEN_MODE = { HOLDFAST_AUTH_MODE: 'token' };
const READ = '{ thingsCount }';
const WRITE = 'mutation { createThing(input: { name: "x" }) { outcome } }';

interface Place {
  readonly path: string;
  readonly schema: string;
}

async function place(): Promise<Place> {
  const directory = await temporaryDirectory();
  onTestFinished(() => directory[Symbol.asyncDispose]());
  const schema = join(directory.path, 'schema');
  await mkdir(schema);
  await writeFile(join(schema, 'thing.graphql'), THING);
  return { path: directory.path, schema };
}

/** A token made by the command line over a data directory. */
async function create(data: string, role: AccessRole, ...args: string[]): Promise<{ id: string; secret: string }> {
  const { stdout } = await runHoldfast([
    'token',
    'create',
    '--name',
    role,
    '--role',
    role,
    '--data',
    data,
    '--json',
    ...args,
  ]);
  return JSON.parse(stdout);
}

interface Serving {
  readonly process: HoldfastProcess;
  readonly url: string;
  readonly websocket: string;
  readonly opsUrl: string;
}

async function start(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Serving> {
  const [port, opsPort] = await Promise.all([freePort(), freePort()]);
  const ports = ['--port', `${port}`, '--ops-port', `${opsPort}`];
  const process = startHoldfast([...args, ...ports], { ...TOKEN_MODE, ...environment });
  onTestFinished(() => process.kill());
  return {
    process,
    url: `http://127.0.0.1:${port}/graphql`,
    websocket: `ws://127.0.0.1:${port}/graphql`,
    opsUrl: `http://127.0.0.1:${opsPort}/graphql`,
  };
}

async function primary({ path, schema }: Place, environment?: NodeJS.ProcessEnv): Promise<Serving & { data: string }> {
  const data = join(path, 'primary');
  const serving = await start(['start', '--schema', schema, '--data', data], environment);
  await serving.process.ready;
  return { ...serving, data };
}

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });
const codeOf = ({ errors }: Answer) => errors?.[0]?.extensions.code ?? 'OK';
const ask = async (url: string, query: string, secret: string) => codeOf(await post(url, query, {}, bearer(secret)));

/** Waits until a query with this token ends so: a replica hears of tokens from its primary. */
const becomes = (url: string, query: string, secret: string, code: string) =>
  eventually(`${query} becomes ${code}`, async () => (await ask(url, query, secret)) === code, 10_000);

/** A subscription; resolves with the code by which its websocket was closed. */
function subscribe(url: string, secret: string, query: string): { started: Promise<void>; closed: Promise<number> } {
  const socket = new WebSocket(url, 'graphql-transport-ws');
  onTestFinished(() => socket.terminate());
  const started = Promise.withResolvers<void>();
  const closed = new Promise<number>((done) => socket.once('close', done));
  socket.on('error', () => {});
  socket.once('open', () => socket.send(JSON.stringify({ type: 'connection_init', payload: bearer(secret) })));
  socket.on('message', (data) => {
    if (JSON.parse(String(data)).type !== 'connection_ack') return;
    socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query } }));
    // Answered after what came before it was read.
    socket.send(JSON.stringify({ type: 'ping' }));
    socket.once('message', () => started.resolve());
  });
  return { started: started.promise, closed };
}

test('each role may what the manual says, on both ports, and no more', async () => {
  const node = await primary(await place());
  const made = await Promise.all(ACCESS_ROLES.map(async (role) => [role, await create(node.data, role)] as const));
  const operations = {
    read: [node.url, READ],
    write: [node.url, WRITE],
    sync: [node.url, '{ syncHello { head } }'],
    mixed: [node.url, '{ thingsCount syncHello { head } }'],
    operate: [node.opsUrl, '{ status { role } }'],
    administer: [node.opsUrl, '{ tokens { id } }'],
  } as const;
  const table: Record<string, Record<string, string>> = {};
  for (const [role, { secret }] of made) {
    const row: Record<string, string> = {};
    for (const [name, [url, query]] of Object.entries(operations)) row[name] = await ask(url, query, secret);
    table[role] = row;
  }
  const no = 'FORBIDDEN';
  expect(table).toEqual({
    reader: { read: 'OK', write: no, sync: no, mixed: no, operate: no, administer: no },
    writer: { read: 'OK', write: 'OK', sync: no, mixed: no, operate: no, administer: no },
    replica: { read: no, write: no, sync: 'OK', mixed: no, operate: no, administer: no },
    operator: { read: no, write: no, sync: no, mixed: no, operate: 'OK', administer: no },
    admin: { read: 'OK', write: 'OK', sync: 'OK', mixed: 'OK', operate: 'OK', administer: 'OK' },
  });
  for (const [url, query] of Object.values(operations)) {
    expect(codeOf(await post(url, query))).toBe('UNAUTHENTICATED');
    expect(await ask(url, query, `hf_${'A'.repeat(43)}`)).toBe('UNAUTHENTICATED');
  }
});

test('a token made beside a running process is accepted, and a revocation closes what it has open', async () => {
  const node = await primary(await place());
  const { id, secret } = await create(node.data, 'reader');
  expect(await ask(node.url, READ, secret)).toBe('OK');
  const open = subscribe(node.websocket, secret, 'subscription { thingChanged { id } }');
  await open.started;
  expect((await runHoldfast(['token', 'revoke', id, '--data', node.data])).code).toBe(0);
  expect(await open.closed).toBe(4401);
  expect(await ask(node.url, READ, secret)).toBe('UNAUTHENTICATED');
});

test('the ops port makes and revokes tokens, for administrators', async () => {
  const node = await primary(await place());
  const admin = await create(node.data, 'admin');
  const token = (...args: string[]) =>
    runHoldfast(['token', ...args, '--url', node.opsUrl, '--json'], { HOLDFAST_TOKEN: admin.secret });
  const made = JSON.parse((await token('create', '--name', 'ci', '--role', 'writer', '--expires', '1h')).stdout);
  expect(made).toMatchObject({ name: 'ci', roles: ['writer'], origin: 'HERE' });
  expect(await ask(node.url, WRITE, made.secret)).toBe('OK');
  const { tokens } = JSON.parse((await token('list')).stdout) as {
    tokens: { id: string; lastUsedAt: string | null }[];
  };
  expect(tokens.find(({ id }) => id === made.id)?.lastUsedAt).not.toBeNull();
  expect((await token('revoke', made.id)).code).toBe(0);
  expect(await ask(node.url, WRITE, made.secret)).toBe('UNAUTHENTICATED');
  expect(await token('revoke', 'nobody')).toMatchObject({ code: 1, stderr: expect.stringContaining('NOT_FOUND') });
  const refused = await runHoldfast(['token', 'list', '--url', node.opsUrl]);
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('UNAUTHENTICATED') });
});

test('with tokens the Host header may name anything, and tokens of the configuration count', async () => {
  const { stdout } = await runHoldfast(['token', 'create', '--name', 'fixed', '--role', 'reader', '--entry', '--json']);
  const { secret, entry } = JSON.parse(stdout);
  const node = await primary(await place(), { HOLDFAST_AUTH_TOKENS: JSON.stringify([entry]) });
  expect(codeOf(await post(node.url, READ, {}, { ...bearer(secret), host: 'data.example.org' }))).toBe('OK');
});

test('clients of the primary are clients of the replica, also while the primary is away', async () => {
  const where = await place();
  const node = await primary(where);
  const data = join(where.path, 'replica');
  const [replicaToken, writer, reader] = await Promise.all([
    create(node.data, 'replica'),
    create(node.data, 'writer'),
    create(node.data, 'reader'),
  ]);
  const file = join(where.path, 'token');
  await writeFile(file, `${replicaToken.secret}\n`);
  const args = ['replica', '--primary', node.websocket, '--data', data, '--token', `file:${file}`];
  const follower = await start(args);
  await follower.process.ready;
  expect(readFileSync(`/proc/${follower.process.pid}/cmdline`, 'utf8')).not.toContain(replicaToken.secret);

  await becomes(follower.url, WRITE, writer.secret, 'OK');
  await becomes(follower.url, READ, reader.secret, 'OK');
  expect(await ask(follower.url, WRITE, reader.secret)).toBe('FORBIDDEN');
  expect(await ask(follower.url, WRITE, replicaToken.secret)).toBe('FORBIDDEN');
  expect(codeOf(await post(follower.url, READ))).toBe('UNAUTHENTICATED');
  // A forwarded write is the client's own, and so is its idempotency key.
  const retried = { ...bearer(writer.secret), 'idempotency-key': 'once' };
  const create1 = 'mutation { createThing(input: { name: "once" }) { position thing { id } } }';
  const answers = [await post(follower.url, create1, {}, retried), await post(node.url, create1, {}, retried)];
  expect(answers[1]?.data).toEqual(answers[0]?.data);

  const open = subscribe(follower.websocket, reader.secret, 'subscription { thingChanged { id } }');
  await open.started;
  await runHoldfast(['token', 'revoke', reader.id, '--data', node.data]);
  expect(await open.closed).toBe(4401);

  await node.process.kill();
  expect(await ask(follower.url, READ, writer.secret)).toBe('OK');
  await follower.process.stop();
  const again = await start(args);
  await again.process.ready;
  expect(await ask(again.url, READ, writer.secret)).toBe('OK');
  expect(await ask(again.url, READ, reader.secret)).toBe('UNAUTHENTICATED');
  for (const { secret } of [replicaToken, writer, reader]) {
    for (const { process } of [node, follower, again]) expect(process.output()).not.toContain(secret.slice(3));
  }
});

test('a replica says that its token is refused, keeps trying, and takes the right one from its file', async () => {
  const where = await place();
  const node = await primary(where);
  const [right, wrongRole] = await Promise.all([create(node.data, 'replica'), create(node.data, 'reader')]);
  const file = join(where.path, 'token');
  await writeFile(file, `hf_${'A'.repeat(43)}`);
  const follower = await start(['replica', '--primary', node.websocket, '--data', join(where.path, 'replica')], {
    HOLDFAST_REPLICA_TOKEN: `file:${file}`,
  });
  const says = (text: string) =>
    eventually(`the replica says ${text}`, () => follower.process.output().includes(text), 30_000);
  await says('refuses the token of this replica');
  expect(follower.process.output()).toContain('"code":"UNAUTHENTICATED"');
  await writeFile(file, wrongRole.secret);
  await says('the sync API needs a token of role replica or admin');
  await writeFile(file, right.secret);
  await follower.process.ready;
  await runHoldfast(['token', 'revoke', right.id, '--data', node.data]);
  await says('The token was revoked or has expired');
  expect(await follower.process.stop()).toBe(0);
});

test('a replica whose token file is not there does not start', async () => {
  const where = await place();
  const args = ['replica', '--primary', 'ws://127.0.0.1:1/graphql', '--data', join(where.path, 'replica')];
  const { code, stderr } = await runHoldfast([...args, '--token', 'file:/nowhere/token']);
  expect(code).toBe(2);
  expect(stderr).toMatch(/^error CONFIG_INVALID: replica\.token cannot be read: ENOENT/m);
  expect(stderr).not.toContain('    at ');
});

test('commands show the token they are given, and say what is missing without one', async () => {
  const where = await place();
  const node = await primary(where);
  const [operator, writer] = await Promise.all([create(node.data, 'operator'), create(node.data, 'writer')]);
  const status = (environment: NodeJS.ProcessEnv) => runHoldfast(['status', '--url', node.opsUrl], environment);
  expect((await status({ HOLDFAST_TOKEN: operator.secret })).code).toBe(0);
  const refused = await status({ HOLDFAST_TOKEN: writer.secret });
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('this port needs a token of role operator or admin; this one has writer');
  expect(refused.stderr + refused.stdout).not.toContain(writer.secret);

  const file = join(where.path, 'things.jsonl');
  await writeFile(file, '{"name":"a"}\n{"name":"b"}\n');
  const load = (...args: string[]) =>
    runHoldfast(['import', 'Thing', file, ...args], { ...TOKEN_MODE, HOLDFAST_TOKEN: writer.secret });
  const blind = await load('--to', node.url);
  expect(blind.stderr).toContain('give --schema, or a token with that role as well');
  expect((await load('--to', node.url, '--schema', where.schema)).code).toBe(0);
  // A directory of one's own asks for no token, and a second run changes nothing.
  const own = ['--data', join(where.path, 'own'), '--schema', where.schema];
  expect([(await load(...own)).code, (await load(...own)).code]).toEqual([0, 0]);
});
