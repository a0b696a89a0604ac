import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { backup } from '../../../src/dr/backup.ts';
import { restore } from '../../../src/dr/restore.ts';
import { PostgresDatabases } from '../../support/postgres-databases.ts';
import { copySchema, imageOf, type PostgresImage } from '../../support/postgres-image.ts';
import { describeWith } from '../../support/servers/describe-with.ts';
import { temporaryDirectory } from '../../support/temporary.ts';
import { LATIN1, SQL_ASCII } from './encodings.ts';
import type { HardCase, HardCaseGroup, Way } from './hard-case.ts';
import { KEYS } from './keys.ts';
import { NAMES } from './names.ts';
import { OBJECTS } from './objects.ts';
import { SEQUENCES } from './sequences.ts';
import { TABLES } from './tables.ts';
import { VALUES } from './values.ts';

const extensions = (...names: readonly string[]): string => names.map((name) => `CREATE EXTENSION ${name};`).join(' ');

const GROUPS: readonly HardCaseGroup[] = [
  {
    ...{ name: 'values', cases: VALUES, ways: ['full', 'binary'] },
    before: extensions('hstore', 'ltree', 'citext', 'cube', 'isn', 'seg', 'fuzzystrmatch'),
  },
  { name: 'tables', cases: TABLES, ways: ['full', 'data'] },
  { name: 'keys', cases: KEYS, ways: ['full', 'data'], before: extensions('btree_gist', 'pg_trgm', 'bloom') },
  { name: 'sequences', cases: SEQUENCES, ways: ['full', 'data'] },
  { name: 'objects', cases: OBJECTS, ways: ['full', 'data'], before: extensions('hstore', 'ltree', 'citext') },
  { name: 'names', cases: NAMES, ways: ['full', 'data'] },
  { name: 'Latin 1', cases: LATIN1, ways: ['full', 'data'], encoding: 'LATIN1' },
  { name: 'bytes', cases: SQL_ASCII, ways: ['full', 'data'], encoding: 'SQL_ASCII' },
];

const WAYS: Readonly<Record<Way, (source: string, target: string, out: string) => Promise<unknown>>> = {
  async full(source, target, out) {
    await backup({ source, out });
    await restore({ from: out, target });
  },
  async binary(source, target, out) {
    await backup({ source, out, format: 'binary', compression: 'none' });
    await restore({ from: out, target, workers: 1 });
  },
  async data(source, target, out) {
    copySchema(source, target);
    await backup({ source, out });
    await restore({ from: out, target, mode: 'data' });
  },
};

/** A database and what is in it. */
interface Made {
  readonly url: string;
  readonly image: PostgresImage;
  /** What it answers to each case's question. */
  readonly answers: ReadonlyMap<HardCase, string>;
}

console.log(`${GROUPS.reduce((sum, { cases }) => sum + cases.length, 0)} hard cases of PostgreSQL`);

describeWith('postgres', 'of the hard cases of PostgreSQL', () => {
  let databases: PostgresDatabases;
  beforeAll(async () => {
    databases = await PostgresDatabases.start({ args: ['-c', 'max_connections=40'] });
    await databases.query(databases.server.url, 'CREATE ROLE clerk; CREATE ROLE keeper');
  });
  afterAll(() => databases?.[Symbol.asyncDispose]());

  describe.each(GROUPS)('$name', ({ cases, ways, before = '', encoding = 'UTF8' }) => {
    let source: Made;
    beforeAll(async () => {
      const url = await databases.create('', encoding);
      await makeCases(url, before, cases);
      source = await look(url);
    });

    async function look(url: string): Promise<Made> {
      return { url, image: await imageOf(databases, url), answers: await askAll(url, cases) };
    }

    describe.each(ways)('in the way %s', (way) => {
      let target: Made;
      beforeAll(async () => {
        await using directory = await temporaryDirectory();
        const url = await databases.create('', encoding);
        await WAYS[way](source.url, url, join(directory.path, 'archive'));
        target = await look(url);
      });

      it.each(cases)('$name', (one) => {
        const schema = schemaOf(cases, one);
        expect(target.image.get(schema)).toEqual(source.image.get(schema));
        const answers = { source: source.answers.get(one), target: target.answers.get(one) };
        expect(answers).toEqual({ source: one.holds?.[1], target: one.holds?.[1] });
      });

      it('nothing is there besides, and nothing is missing', () => {
        expect(target.image).toEqual(source.image);
      });
    });
  });
});

function schemaOf(cases: readonly HardCase[], one: HardCase): string {
  return `case_${cases.indexOf(one) + 1}`;
}

/** Each case in its own schema. */
async function makeCases(url: string, before: string, cases: readonly HardCase[]): Promise<void> {
  await withClient(url, async (client) => {
    if (before !== '') await client.query(before);
    for (const one of cases) {
      const schema = schemaOf(cases, one);
      await client.query(`CREATE SCHEMA ${schema}; SET search_path = ${schema}, public`);
      for (const sql of one.sql) await attempt(one, () => client.query(sql));
    }
  });
}

async function askAll(url: string, cases: readonly HardCase[]): Promise<ReadonlyMap<HardCase, string>> {
  const answers = new Map<HardCase, string>();
  await withClient(url, async (client) => {
    await client.query(`SET timezone = 'UTC'`);
    const types = { getTypeParser: () => (value: string) => value };
    for (const one of cases) {
      if (one.holds === undefined) continue;
      await client.query(`SET search_path = ${schemaOf(cases, one)}, public`);
      const question = { text: one.holds[0], types, rowMode: 'array' as const };
      const { rows } = await attempt(one, () => client.query<string[]>(question));
      answers.set(one, rows.map(([answer]) => answer).join());
    }
  });
  return answers;
}

async function attempt<T>({ name }: HardCase, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw new Error(`${name}: ${(error as Error).message}`, { cause: error });
  }
}

async function withClient(url: string, work: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
