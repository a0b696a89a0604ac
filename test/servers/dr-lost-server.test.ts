import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { backup } from '../../src/dr/backup.ts';
import type { DrProgress } from '../../src/dr/progress.ts';
import { verify } from '../../src/dr/verify.ts';
import { openSql } from '../../src/sql/connect.ts';
import { eventually } from '../support/eventually.ts';
import { MariadbDatabases } from '../support/mariadb-databases.ts';
import { PostgresDatabases } from '../support/postgres-databases.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const KINDS = {
  postgres: {
    start: () => PostgresDatabases.start(),
    rows: 'INSERT INTO ticket SELECT generate_series(1, 300000)',
    sessions: 'SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database()',
  },
  mariadb: {
    start: () => MariadbDatabases.start(),
    rows: 'INSERT INTO ticket SELECT seq FROM seq_1_to_300000',
    sessions: 'SELECT COUNT(*) AS n FROM information_schema.processlist WHERE db = DATABASE()',
  },
};

for (const kind of ['postgres', 'mariadb'] as const) {
  describeWith(
    kind,
    'a server that is killed',
    () => {
      const { start, rows, sessions } = KINDS[kind];
      let databases: MariadbDatabases | PostgresDatabases;
      let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
      let source: string;

      beforeAll(async () => {
        directory = await temporaryDirectory();
        databases = await start();
        source = await databases.create(`CREATE TABLE ticket (id int PRIMARY KEY);\n${rows}`);
      });
      afterAll(async () => {
        await databases[Symbol.asyncDispose]();
        await directory[Symbol.asyncDispose]();
      });

      /** Kills the server in the given phase. */
      const killIn = (phase: string) => {
        let killed: Promise<void> | undefined;
        const onProgress = (progress: DrProgress): void => {
          if (progress.phase === phase) killed ??= databases.server.kill();
        };
        const restarted = async (): Promise<void> => {
          await killed;
          await databases.server.restart();
        };
        return { onProgress, restarted };
      };

      it.each(['connecting', 'locking', 'planning', 'reading rows'])(
        'ends a backup in the phase "%s": nothing is left of it',
        async (phase) => {
          const out = join(directory.path, phase);
          const { onProgress, restarted } = killIn(phase);
          await expect(backup({ source, out, onProgress })).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
          expect(existsSync(out) ? readdirSync(out) : []).toEqual([]);
          await restarted();
        },
      );

      it('ends a drill, which names the database that it could not drop', async () => {
        const from = join(directory.path, 'archive');
        await backup({ source, out: from });
        const { onProgress, restarted } = killIn('comparing');
        await expect(verify({ from, level: 'DRILL', target: source, onProgress })).rejects.toMatchObject({
          code: 'DATABASE_UNAVAILABLE',
          message: expect.stringMatching(/holdfast_drill_\w+ could not be dropped and is left behind/),
        });
        await restarted();
      });

      it('is left by all connections when they are closed, also by one that nobody released', async () => {
        const sql = openSql(source, { connections: 2, applicationName: 'test' });
        await sql.release(await sql.raw());
        await sql.raw();
        await sql.close();
        const isAlone = async (): Promise<boolean> => Number((await databases.query(source, sessions))[0]?.n) === 1;
        await eventually('the server has no session of ours', isAlone);
      }, 20_000);
    },
    { killable: true },
  );
}
