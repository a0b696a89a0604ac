import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BackupSummary, backup } from '../../src/dr/backup.ts';
import { restore } from '../../src/dr/restore.ts';
import { verify } from '../../src/dr/verify.ts';
import { catalogImage } from '../support/postgres-catalog-image.ts';
import { PostgresDatabases } from '../support/postgres-databases.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { describeWithMajors, programsOfMajor } from '../support/servers/postgres-majors.ts';
import { SINCE } from '../support/sql/postgres-since.ts';
import { temporaryDirectory } from '../support/temporary.ts';

/** More than one chunk of rows. */
const LARGE = `CREATE TABLE large (t text); ALTER TABLE large ALTER t SET STORAGE PLAIN;
  INSERT INTO large SELECT repeat(n::text, 800) FROM generate_series(10001, 17000) n`;
const EMPTIED = `DO $$BEGIN
  EXECUTE (SELECT concat('TRUNCATE ', string_agg(oid::regclass::text, ', '), ' CASCADE') FROM pg_class
    WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace);
  PERFORM lo_unlink(oid) FROM pg_largeobject_metadata;
END$$`;
const RANGES_SINCE = 14;
const CATALOG_IMAGE_SINCE = 14;

describeWith('postgres', 'PostgreSQL of other major versions, without a pg_dump of theirs', () => {
  describeWithMajors('that npm has', (majors) => {
    const servers = new Map<number, PostgresDatabases>();
    beforeAll(async () => {
      for (const major of majors) {
        const server = await PostgresDatabases.start({ programs: programsOfMajor(major) });
        servers.set(major, server);
        await server.query(server.server.url, 'CREATE ROLE clerk; CREATE ROLE keeper');
      }
    });
    afterAll(async () => {
      for (const server of servers.values()) await server[Symbol.asyncDispose]();
    });

    const on = (major: number): PostgresDatabases => servers.get(major)!;

    function schemaOf(major: number): string {
      const since = Object.entries(SINCE).filter(([first]) => Number(first) <= major);
      return since.map(([, statements]) => statements).join('\n');
    }

    function saved(source: string, out: string): Promise<BackupSummary> {
      return backup({ source, out, schemaExporter: 'catalog' });
    }

    /** A server of 13 cannot tell which columns of its catalogs are oids; every pg_dump can read it. */
    async function imageOf(major: number, url: string): Promise<readonly string[]> {
      const rows = await on(major).rows(url);
      if (major < CATALOG_IMAGE_SINCE) return [...rows, ...(await on(major).contents(url)).schema.split('\n')];
      return [...rows, ...(await catalogImage(on(major), url))];
    }

    describe.each(majors)('%i', (major) => {
      it('comes back with all that it knows, and a drill finds no difference', async () => {
        await using directory = await temporaryDirectory();
        const out = join(directory.path, 'archive');
        const source = await on(major).create(schemaOf(major));
        expect(await saved(source, out)).toMatchObject({ unsupported: [] });
        const target = await on(major).create();
        expect((await restore({ from: out, target })).notices).toEqual([]);
        expect(await imageOf(major, target)).toEqual(await imageOf(major, source));
        for (const level of ['QUICK', 'DEEP', 'DRILL'] as const) {
          await expect(verify({ from: out, level, target: source })).resolves.toMatchObject({ result: 'PASSED' });
        }
      });

      it('is loaded into tables that exist, without a trigger of theirs, and leaves them as they were', async () => {
        await using directory = await temporaryDirectory();
        const out = join(directory.path, 'archive');
        const [source, target] = [await on(major).create(schemaOf(major)), await on(major).create(schemaOf(major))];
        await on(major).query(target, EMPTIED);
        await saved(source, out);
        await restore({ from: out, target, mode: 'data' });
        expect(await imageOf(major, target)).toEqual(await imageOf(major, source));
      });

      it(`is read in ${major < RANGES_SINCE ? 'one piece' : 'ranges of pages'} where a table is large`, async () => {
        await using directory = await temporaryDirectory();
        const out = join(directory.path, 'archive');
        const source = await on(major).create(LARGE);
        const { chunks } = await saved(source, out);
        expect(chunks > 1).toBe(major >= RANGES_SINCE);
        const target = await on(major).create();
        await restore({ from: out, target });
        expect(await on(major).rows(target)).toEqual(await on(major).rows(source));
      });

      it('names what only pg_dump keeps', async () => {
        await using directory = await temporaryDirectory();
        const source = await on(major).create('CREATE PUBLICATION news; CREATE CAST (int AS text) WITH INOUT');
        await expect(saved(source, join(directory.path, 'archive'))).rejects.toMatchObject({
          code: 'DR_UNSUPPORTED_OBJECT',
          details: { objects: ['cast (integer AS pg_catalog.text)', 'publication news'] },
        });
      });
    });

    const steps = majors.slice(1).map((newer, index) => ({ older: majors[index] ?? newer, newer }));
    describe.each(steps)('$older and $newer', ({ older, newer }) => {
      it('is restored into the newer one, and a drill there passes', async () => {
        await using directory = await temporaryDirectory();
        const out = join(directory.path, 'archive');
        const source = await on(older).create(schemaOf(older));
        await saved(source, out);
        const target = await on(newer).create();
        expect((await restore({ from: out, target })).notices).toEqual([]);
        expect(await on(newer).rows(target)).toEqual(await on(older).rows(source));
        const right = `SELECT has_schema_privilege('clerk', 'public', 'CREATE')::text AS clerk, has_schema_privilege('keeper', 'public', 'CREATE')::text AS others`;
        expect(await on(newer).query(target, right)).toEqual(await on(older).query(source, right));
        const drill = verify({ from: out, level: 'DRILL', target: on(newer).server.url });
        await expect(drill).resolves.toMatchObject({ result: 'PASSED' });
      });

      it('comes with a notice where a grant is of what the newer server no longer has', async () => {
        await using directory = await temporaryDirectory();
        const out = join(directory.path, 'archive');
        const gone = 'pg_catalog.pg_start_backup(text, boolean, boolean)';
        const source = await on(older).create(`CREATE TABLE a (x int); GRANT SELECT ON a TO clerk;
          DO $$BEGIN IF to_regprocedure('${gone}') IS NOT NULL THEN GRANT EXECUTE ON FUNCTION ${gone} TO clerk; END IF; END$$`);
        await saved(source, out);
        const target = await on(newer).create();
        const { notices } = await restore({ from: out, target });
        const isGone = older < 15 && newer >= 15;
        expect(notices).toEqual(isGone ? [expect.stringMatching(/pg_start_backup.* does not exist; left out/)] : []);
        const [right] = await on(newer).query(
          target,
          `SELECT has_table_privilege('clerk', 'a', 'SELECT')::text AS clerk`,
        );
        expect(right).toEqual({ clerk: 'true' });
      });

      it('is not restored into the older one, which is left as it was', async () => {
        await using directory = await temporaryDirectory();
        const out = join(directory.path, 'archive');
        await saved(await on(newer).create('CREATE TABLE a (x int)'), out);
        const target = await on(older).create();
        await expect(restore({ from: out, target })).rejects.toMatchObject({ code: 'DR_INCOMPATIBLE' });
        const schemas = await on(older).query(target, `SELECT nspname FROM pg_namespace WHERE oid >= 16384`);
        expect(schemas).toEqual([]);
      });
    });
  });
});
