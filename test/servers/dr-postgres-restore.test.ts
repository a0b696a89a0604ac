import { readFileSync } from 'node:fs';
import { cp, readdir, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { backup } from '../../src/dr/backup.ts';
import type { DrProgress } from '../../src/dr/progress.ts';
import { type RestoreOptions, restore } from '../../src/dr/restore.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { PostgresDatabases } from '../support/postgres-databases.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const EVERYTHING = readFileSync(join(import.meta.dirname, '../support/sql/everything.sql'), 'utf8');
/** Two tables in a cycle, one that refers to itself, one below; some rows, a sequence, a trigger that must not fire. */
const FAMILY = `
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'a trigger fired'; END$$;
CREATE TABLE house (id int PRIMARY KEY, owner int NOT NULL);
CREATE TABLE person (id serial PRIMARY KEY, lives_in int NOT NULL, mother int REFERENCES person, name text UNIQUE);
CREATE TABLE pet (id int GENERATED ALWAYS AS IDENTITY, keeper int REFERENCES person, tag text GENERATED ALWAYS AS ('pet of ' || keeper::text) STORED);
CREATE MATERIALIZED VIEW pets AS SELECT keeper, count(*) FROM pet GROUP BY keeper;`;
const FAMILY_ROWS = `
INSERT INTO house SELECT n, n FROM generate_series(1, 500) n;
INSERT INTO person (lives_in, mother, name) SELECT n, nullif(501 - n, n), 'person ' || n FROM generate_series(1, 500) n;
INSERT INTO pet (keeper) SELECT 1 + n % 500 FROM generate_series(1, 2000) n;
REFRESH MATERIALIZED VIEW pets;`;
const FAMILY_KEYS = (deferrable: string): string => `
ALTER TABLE house ADD CONSTRAINT owned FOREIGN KEY (owner) REFERENCES person ${deferrable};
ALTER TABLE person ADD CONSTRAINT housed FOREIGN KEY (lives_in) REFERENCES house ${deferrable};
COMMENT ON CONSTRAINT owned ON house IS 'it''s owned';
CREATE TRIGGER fires BEFORE INSERT ON person FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER always BEFORE INSERT ON pet FOR EACH STATEMENT EXECUTE FUNCTION refuse();
ALTER TABLE pet ENABLE ALWAYS TRIGGER always;`;

describeWith('postgres', 'restoring PostgreSQL', () => {
  let databases: PostgresDatabases;
  let everything: string;
  beforeAll(async () => {
    databases = await PostgresDatabases.start({ args: ['-c', 'max_connections=40'] });
    everything = await databases.create(EVERYTHING);
  }, 60_000);
  afterAll(() => databases[Symbol.asyncDispose]());

  it('makes an equal database of one with every kind of object, and no trigger fires', async () => {
    await using directory = await temporaryDirectory();
    const out = join(directory.path, 'archive');
    await backup({ source: everything, out });
    const target = await databases.create();
    const progress: DrProgress[] = [];
    const summary = await restore({ from: out, target, onProgress: (told) => progress.push(told) });
    const [before, after] = [await databases.contents(everything), await databases.contents(target)];
    expect(after.schema).toBe(before.schema);
    expect(after.rows).toEqual(before.rows);
    expect(summary).toMatchObject({ state: 'fresh', mode: 'full', notices: [] });
    expect(progress.at(-1)).toMatchObject({ percent: 100, rowsDone: summary.rows, bytesDone: summary.bytes });
    expect(progress.at(-1)?.tables.every(({ state }) => state === 'DONE')).toBe(true);
  });

  describe('with a family', () => {
    let source: string;
    let archive: string;
    let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
    beforeAll(async () => {
      directory = await temporaryDirectory();
      source = await databases.create(`${FAMILY}${FAMILY_ROWS}${FAMILY_KEYS('')}`);
      archive = join(directory.path, 'archive');
      await backup({ source, out: archive });
    });
    afterAll(() => directory[Symbol.asyncDispose]());

    async function expectEqual(target: string): Promise<void> {
      const [before, after] = [await databases.contents(source), await databases.contents(target)];
      expect(after.schema).toBe(before.schema);
      expect(after.rows).toEqual(before.rows);
    }

    async function expectRefused(options: Partial<RestoreOptions>, code: ErrorCode, message: RegExp): Promise<void> {
      const target = options.target ?? (await databases.create());
      const before = await databases.contents(target as string);
      const refused = restore({ from: archive, target, ...options });
      await expect(refused).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
      expect(await databases.contents(target as string)).toEqual(before);
    }

    /** A target whose restore failed in its middle, because it has already what is created last. */
    async function interrupted(mode: 'full' | 'data' = 'full'): Promise<string> {
      const target = await databases.create(mode === 'full' ? '' : `${FAMILY}${FAMILY_KEYS('')}`);
      const stop = new AbortController();
      const onProgress = ({ rowsDone }: DrProgress): void => {
        if (rowsDone > 0) stop.abort();
      };
      const result = restore({ from: archive, target, mode, workers: 1, signal: stop.signal, onProgress });
      await expect(result).rejects.toMatchObject({ code: 'DR_CANCELLED' });
      return target;
    }

    describe('before the first write', () => {
      it('refuses a target with contents, naming them', () =>
        databases
          .create('CREATE TABLE mine (id int)')
          .then((target) => expectRefused({ target }, 'DR_TARGET_NOT_EMPTY', /contains public\.mine/)));

      it.each([
        'CREATE SCHEMA other',
        'CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$SELECT 1$$',
        "CREATE TYPE e AS ENUM ('a')",
        'CREATE SEQUENCE s',
        'SELECT lo_create(1)',
      ])('refuses a target after %s', (statement) =>
        databases.create(statement).then((target) => expectRefused({ target }, 'DR_TARGET_NOT_EMPTY', /contains/)),
      );

      it('refuses the source as target', () => expectRefused({ target: source }, 'DR_TARGET_IS_SOURCE', /taken of/));

      it('refuses a confirmation of another database', () =>
        expectRefused({ confirm: 'production' }, 'CONFIG_INVALID', /names "production"/));

      it('refuses what is no archive', () => expectRefused({ from: directory.path }, 'DR_NOT_FOUND', /./));

      it('refuses a target of another kind', async () => {
        const result = restore({ from: archive, target: 'mariadb://root@127.0.0.1:1/x' });
        await expect(result).rejects.toMatchObject({ code: 'DR_INCOMPATIBLE' });
      });

      it('refuses a table that the backup does not hold', () =>
        expectRefused({ tables: ['nobody'] }, 'DR_NOT_FOUND', /no table nobody/));

      it('refuses a truncated archive', async () => {
        const from = join(directory.path, 'truncated');
        await cp(archive, from, { recursive: true });
        const [file] = (await readdir(from, { recursive: true })).filter(
          (name) => /\.copy\./.test(name) || /0\./.test(name),
        );
        await truncate(join(from, file ?? ''), 10);
        await expectRefused({ from }, 'DR_CHECKSUM_MISMATCH', /bytes instead of/);
        await rm(from, { recursive: true });
      });

      it('refuses a user who may not create anything', async () => {
        const target = await databases.create('CREATE ROLE guest LOGIN');
        const result = restore({ from: archive, target: target.replace('app@', 'guest@') });
        await expect(result).rejects.toMatchObject({
          code: 'DR_PRIVILEGE_MISSING',
          message: expect.stringMatching(/GRANT CREATE ON DATABASE/),
        });
      });

      it('writes nothing when it was cancelled before', () =>
        expectRefused({ signal: AbortSignal.abort() }, 'DR_CANCELLED', /cancelled/));

      it('refuses while another backup is being restored into the target', async () => {
        const target = await databases.create();
        const { Client } = await import('pg');
        const client = new Client({ connectionString: target });
        await client.connect();
        await client.query('SELECT pg_advisory_lock(7236272102910451)');
        await expectRefused({ target }, 'DR_LOCKED', /is running/);
        await client.end();
      });
    });

    describe('resuming', () => {
      it('goes on after a cancellation, and nothing is there twice', async () => {
        const target = await interrupted();
        const summary = await restore({ from: archive, target, resume: true });
        expect(summary.state).toBe('resumed');
        await expectEqual(target);
      });

      it('refuses to begin anew in an interrupted restore, and says how to go on', async () => {
        const target = await interrupted();
        const again = restore({ from: archive, target });
        await expect(again).rejects.toMatchObject({ code: 'DR_TARGET_NOT_EMPTY', message: /--resume/ });
        const selected = restore({ from: archive, target, resume: true, tables: ['pet'] });
        await expect(selected).rejects.toMatchObject({
          code: 'DR_TARGET_NOT_EMPTY',
          message: /interrupted restore of backup/,
        });
        await restore({ from: archive, target, resume: true });
        await expectEqual(target);
      });

      it.each([
        ['of another version', 'UPDATE holdfast_dr.restore SET plan = plan + 1', /plan 4, this one has 3/],
        ['from before there were versions', 'ALTER TABLE holdfast_dr.restore DROP plan', /plan 0, this one has 3/],
      ])('refuses marks %s before it writes anything', async (_, statement, message) => {
        const target = await interrupted();
        await databases.query(target, statement);
        await expectRefused({ target, resume: true }, 'DR_INCOMPATIBLE', message);
      });

      it('is a fresh restore into an empty target, and does nothing in a finished one', async () => {
        const target = await databases.create();
        expect((await restore({ from: archive, target, resume: true })).state).toBe('fresh');
        expect((await restore({ from: archive, target, resume: true })).state).toBe('complete');
        await databases.query(target, `DELETE FROM pet WHERE id = 1`);
        await expect(restore({ from: archive, target, resume: true })).rejects.toMatchObject({
          code: 'DR_TARGET_NOT_EMPTY',
        });
      });

      it('ends the sessions of an earlier run that live on in the server', async () => {
        const target = await interrupted();
        const { Client } = await import('pg');
        const [id] = await databases.query(target, 'SELECT backup FROM holdfast_dr.restore');
        const client = new Client({ connectionString: target, application_name: `holdfast restore ${id?.backup}` });
        const ended = new Promise((resolve) => client.on('error', resolve));
        await client.connect();
        await client.query('SELECT pg_advisory_lock(7236272102910451)');
        await restore({ from: archive, target, resume: true });
        expect(await ended).toMatchObject({ code: '57P01' });
        await expectEqual(target);
      });

      it('goes on when what the server refused can be had', async () => {
        await using place = await temporaryDirectory();
        const from = join(place.path, 'archive');
        const lost = await databases.create(`CREATE ROLE auditor; CREATE TABLE log (id int); INSERT INTO log VALUES (1);
          CREATE POLICY audit ON log TO auditor USING (true);`);
        await backup({ source: lost, out: from });
        await databases.query(lost, 'DROP TABLE log; DROP ROLE auditor');
        const target = await databases.create();
        await expect(restore({ from, target })).rejects.toMatchObject({
          code: 'DR_INCOMPATIBLE',
          message: expect.stringMatching(/create policy public\.audit.*role "auditor" does not exist.*--resume/),
          details: { sqlState: '42704', resumable: true },
        });
        await databases.query(target, 'CREATE ROLE auditor');
        expect(await restore({ from, target, resume: true })).toMatchObject({ state: 'resumed', rows: 1 });
        expect(await databases.query(target, 'SELECT id FROM log')).toEqual([{ id: '1' }]);
      });
    });

    it('takes note of owners and grants whose roles do not exist in the target', async () => {
      await using place = await temporaryDirectory();
      const from = join(place.path, 'archive');
      const lost = await databases.create(`CREATE ROLE leaver; CREATE ROLE reader; CREATE TABLE log (id int);
        ALTER TABLE log OWNER TO leaver; GRANT SELECT ON log TO reader;`);
      await backup({ source: lost, out: from });
      await databases.query(lost, 'DROP TABLE log; DROP ROLE leaver; DROP ROLE reader');
      const { notices } = await restore({ from, target: await databases.create() });
      expect(notices).toEqual([
        expect.stringMatching(/TABLE "public"\."log" belongs to "leaver"/),
        expect.stringMatching(/create acl public\.TABLE log: role "(leaver|reader)" does not exist; left out/),
      ]);
    });

    it('restores chosen tables with those they refer to, and nothing else', async () => {
      const target = await databases.create();
      await restore({ from: archive, target, tables: ['house'] });
      const tables = await databases.query(
        target,
        `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'm') ORDER BY 1`,
      );
      expect(tables.map(({ relname }) => relname)).toEqual(['house', 'person']);
      const [person] = await databases.query(
        target,
        `SELECT count(*)::text AS rows, nextval('person_id_seq')::text AS next FROM person`,
      );
      expect(person).toEqual({ rows: '500', next: '501' });
      const keys = await databases.query(
        target,
        `SELECT conname FROM pg_constraint WHERE contype = 'f' AND convalidated ORDER BY 1`,
      );
      expect(keys.map(({ conname }) => conname)).toEqual(['housed', 'owned', 'person_mother_fkey']);
    });

    it('restores a partitioned table with its partitions, and a partition without the others', async () => {
      const from = join(directory.path, 'everything');
      await backup({ source: everything, out: from });
      const rows = async (...tables: string[]): Promise<unknown> => {
        const target = await databases.create();
        await restore({ from, target, tables });
        return databases.query(
          target,
          'SELECT tableoid::regclass::text AS name, count(*)::text AS rows FROM measure GROUP BY 1 ORDER BY 1',
        );
      };
      const all = await databases.query(
        everything,
        'SELECT tableoid::regclass::text AS name, count(*)::text AS rows FROM measure GROUP BY 1 ORDER BY 1',
      );
      expect(await rows('about', 'child_table')).toEqual(all);
      expect(await rows('public.measure_24_sad')).toEqual(all.filter(({ name }) => name === 'measure_24_sad'));
    });

    describe('into live tables', () => {
      it.each(['', 'DEFERRABLE'])(
        'loads a cycle of keys that are %s, fires no trigger, and leaves all as it was',
        async (deferrable) => {
          const target = await databases.create(`${FAMILY}${FAMILY_KEYS(deferrable)}`);
          const before = await databases.contents(target);
          await restore({ from: archive, target, mode: 'data' });
          const after = await databases.contents(target);
          expect(after.schema).toBe(before.schema);
          expect(after.rows).toEqual((await databases.contents(source)).rows);
          const unchecked = await databases.query(target, 'SELECT conname FROM pg_constraint WHERE NOT convalidated');
          expect(unchecked).toEqual([]);
        },
      );

      it('goes on after a cancellation and puts back what it took away', async () => {
        const target = await interrupted('data');
        await restore({ from: archive, target, mode: 'data', resume: true });
        await expectEqual(target);
      });

      it('refuses tables with rows, and appends to them only with consent', async () => {
        const target = await databases.create(`${FAMILY} INSERT INTO pet (keeper) VALUES (NULL);`);
        await expectRefused({ target, mode: 'data' }, 'DR_TARGET_NOT_EMPTY', /contains "public"\."pet"/);
        const confirm = new URL(target).pathname.slice(1);
        await restore({ from: archive, target, mode: 'data', confirm });
        await expectRefused({ target, mode: 'data', confirm, resume: true }, 'DR_TARGET_NOT_EMPTY', /had ended/);
        expect(await databases.query(target, 'SELECT count(*)::text AS rows FROM pet')).toEqual([{ rows: '2001' }]);
      });

      it.each(['full', 'data'] as const)(
        'tells of a right on a large object for a role that is not there (%s)',
        async (mode) => {
          const source = await databases.create(
            `CREATE ROLE passing; SELECT lo_from_bytea(7001, 'x'); GRANT SELECT ON LARGE OBJECT 7001 TO passing; CREATE TABLE t (id int)`,
          );
          await using directory = await temporaryDirectory();
          const out = join(directory.path, 'archive');
          await backup({ source, out });
          await databases.query(source, 'DROP OWNED BY passing; DROP ROLE passing');
          const target = await databases.create(mode === 'full' ? '' : 'CREATE TABLE t (id int)');
          const { notices } = await restore({ from: out, target, mode });
          expect(notices).toEqual([expect.stringContaining('role "passing" does not exist')]);
          expect(await databases.query(target, 'SELECT lo_get(7001)::text AS bytes')).toEqual([{ bytes: '\\x78' }]);
        },
      );

      it('lets no sequence go back where rows are added, and moves on those that are behind', async () => {
        const made = `CREATE TABLE t (id int); CREATE SEQUENCE ahead; CREATE SEQUENCE behind; CREATE SEQUENCE same;
          CREATE SEQUENCE down INCREMENT -1 START -1; CREATE SEQUENCE "Deep" INCREMENT -1 START -1;`;
        const source = await databases.create(
          `${made} INSERT INTO t VALUES (1); SELECT setval('ahead', 3000), setval('behind', 3000), setval('same', 7), setval('down', -9), setval('"Deep"', -9)`,
        );
        await using directory = await temporaryDirectory();
        const out = join(directory.path, 'archive');
        await backup({ source, out });
        const target = await databases.create(
          `${made} INSERT INTO t VALUES (2); SELECT setval('ahead', 5000), setval('behind', 20), setval('same', 7, false), setval('down', -5), setval('"Deep"', -50)`,
        );
        await restore({ from: out, target, mode: 'data', confirm: new URL(target).pathname.slice(1) });
        const next = `SELECT nextval('ahead')::int a, nextval('behind')::int b, nextval('same')::int s, nextval('down')::int d, nextval('"Deep"')::int e`;
        expect(await databases.query(target, next)).toEqual([{ a: '5001', b: '3001', s: '8', d: '-10', e: '-51' }]);
      });

      it('refuses a database without a sequence of the backup, before anything is written', async () => {
        const source = await databases.create('CREATE TABLE t (id serial); INSERT INTO t DEFAULT VALUES');
        await using directory = await temporaryDirectory();
        const out = join(directory.path, 'archive');
        await backup({ source, out });
        const target = await databases.create('CREATE TABLE t (id int)');
        const missing = /sequence public\.t_id_seq does not exist/;
        await expectRefused({ from: out, target, mode: 'data' }, 'DR_INCOMPATIBLE', missing);
      });

      it('refuses tables with other columns, naming one', async () => {
        const target = await databases.create(`${FAMILY} ALTER TABLE pet ADD extra int;`);
        await expectRefused({ target, mode: 'data' }, 'DR_INCOMPATIBLE', /"pet" differs in column "extra"/);
        await expectRefused({ mode: 'data' }, 'DR_INCOMPATIBLE', /does not exist/);
      });
    });
  });
});
