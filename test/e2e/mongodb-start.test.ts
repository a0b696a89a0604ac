import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type Refusal, startFakeMongo } from '../support/fake-mongo.ts';
import { ask, post } from '../support/graphql.ts';
import { runHoldfast, startHoldfast } from '../support/holdfast.ts';
import { THING } from '../support/nodes.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { startMongo } from '../support/servers/mongo.ts';
import { serverPort } from '../support/servers/port.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const CREATE = 'mutation { createThing(input: { id: "a", name: "a" }) { outcome } }';
const UNAUTHORIZED: Refusal = {
  code: 13,
  codeName: 'Unauthorized',
  errmsg: 'not authorized on app to execute command',
};
const READS = new Set([
  'hello',
  'ismaster',
  'isMaster',
  'buildInfo',
  'find',
  'aggregate',
  'count',
  'listIndexes',
  'endSessions',
]);

/** Arguments of `start` on a database, with a schema and a data directory of this test. */
async function starting(): Promise<(url: string) => readonly string[]> {
  const directory = await temporaryDirectory();
  onTestFinished(() => directory[Symbol.asyncDispose]());
  const schema = join(directory.path, 'schema');
  await mkdir(schema);
  await writeFile(join(schema, 'thing.graphql'), THING);
  const data = join(directory.path, 'data');
  return (url) => ['start', '--schema', schema, '--data', data, '--port', '0', '--ops-port', '0', '--store', url];
}

/** A start that must be refused: exit code 2, one coded message with a remedy, neither stack nor password. */
async function refusal(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runHoldfast(args);
  expect(code, stderr).toBe(2);
  expect(stderr).toContain('error CONFIG_INVALID: ');
  expect(stderr).toContain('holdfast config print');
  expect(stdout + stderr).not.toMatch(/^ +at /m);
  expect(stdout + stderr).not.toContain('s3cret');
  return stderr;
}

it('refuses to start with credentials that MongoDB refuses', async () => {
  const args = await starting();
  await using server = await startFakeMongo((command) =>
    command.startsWith('sasl')
      ? { code: 18, codeName: 'AuthenticationFailed', errmsg: 'Authentication failed.' }
      : undefined,
  );
  const url = `mongodb://app:s3cret@127.0.0.1:${server.port}/app?authMechanism=SCRAM-SHA-256`;
  expect(await refusal(args(url))).toContain('correct user, password and authSource in the URL of the store');
});

it('refuses to start with a user that may only read', async () => {
  const args = await starting();
  await using server = await startFakeMongo((command) => (READS.has(command) ? undefined : UNAUTHORIZED));
  const stderr = await refusal(args(`mongodb://127.0.0.1:${server.port}/app`));
  expect(stderr).toContain('give it the role readWrite on the database');
});

describeWith('mongodb', 'a primary on MongoDB', () => {
  it('refuses to start on another database than the one it has a copy of', async () => {
    const args = await starting();
    await using mongo = await startMongo();
    {
      await using first = startHoldfast(args(mongo.urlOf('one')));
      const { url } = await first.ready;
      await ask(url, CREATE);
      expect(await first.stop()).toBe(0);
    }
    const stderr = await refusal(args(mongo.urlOf('two')));
    expect(stderr).toContain('does not continue the history of its local copy');
    expect(stderr).toContain('start with another data directory');
  });
});

describeWith(
  'mongodb',
  'a primary whose MongoDB is not there yet',
  () => {
    it('starts degraded, says so once, and serves without a restart when it comes', async () => {
      const args = await starting();
      const port = await serverPort();
      await using primary = startHoldfast([...args(`mongodb://127.0.0.1:${port}/late`)]);
      const { url, opsUrl } = await primary.ready;
      const health = async (path: string) => (await fetch(new URL(path, opsUrl))).status;
      const refused = await post(url, CREATE);
      expect(refused.errors?.[0]?.extensions).toMatchObject({ code: 'DATABASE_UNAVAILABLE', retryable: true });
      expect(await health('/health/ready')).toBe(200);
      expect(await health('/health/ready?strict')).toBe(503);
      const { status } = await ask<{ status: { degraded: boolean; problems: string[] } }>(
        `${opsUrl}/graphql`,
        '{ status { degraded problems } }',
      );
      expect(status.degraded).toBe(true);
      expect(status.problems).toContainEqual(expect.stringContaining('MongoDB cannot be reached'));

      await using _mongo = await startMongo({ port });
      await eventually('it is written', async () => (await post(url, CREATE)).errors === undefined, 30_000);
      await eventually('nothing is wrong any more', async () => (await health('/health/ready?strict')) === 200, 30_000);
      expect(primary.output().match(/"msg":"the database cannot be used"/g)).toHaveLength(1);
      expect(primary.output().match(/"msg":"no longer: the database cannot be used"/g)).toHaveLength(1);
      expect(await primary.stop()).toBe(0);
    });
  },
  { killable: true },
);
