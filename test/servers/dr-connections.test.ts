import { afterAll, beforeAll, expect, it } from 'vitest';
import { openSql } from '../../src/sql/connect.ts';
import { eventually } from '../support/eventually.ts';
import { MariadbDatabases } from '../support/mariadb-databases.ts';
import { PostgresDatabases } from '../support/postgres-databases.ts';
import { describeWith } from '../support/servers/describe-with.ts';

const KINDS = {
  postgres: {
    start: () => PostgresDatabases.start(),
    count: 'SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database()',
  },
  mariadb: {
    start: () => MariadbDatabases.start(),
    count: 'SELECT COUNT(*) AS n FROM information_schema.processlist WHERE db = DATABASE()',
  },
};

for (const kind of ['postgres', 'mariadb'] as const) {
  describeWith(kind, 'connections', () => {
    let databases: MariadbDatabases | PostgresDatabases;
    beforeAll(async () => {
      databases = await KINDS[kind].start();
    });
    afterAll(() => databases[Symbol.asyncDispose]());

    it('are ended when they are closed, also one that nobody released', async () => {
      const url = await databases.create();
      const sql = openSql(url, { connections: 2, applicationName: 'test' });
      await sql.release(await sql.raw());
      await sql.raw();
      await sql.close();
      const alone = async (): Promise<boolean> => Number((await databases.query(url, KINDS[kind].count))[0]?.n) === 1;
      await eventually('the server has no session of ours', alone);
      expect(await alone()).toBe(true);
    }, 20_000);
  });
}
