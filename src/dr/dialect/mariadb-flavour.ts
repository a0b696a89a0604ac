import { HoldfastError } from '../../errors.ts';
import type { MysqlSession } from '../../sql/mysql-session.ts';
import { Dialect } from '../archive/manifest.ts';

/** Which server it is, and what it can do that the other one or an older one cannot. */
export interface Flavour {
  readonly dialect: typeof Dialect.MARIADB | typeof Dialect.MYSQL;
  /** As the server says it. */
  readonly versionText: string;
  /** `major * 10000 + minor * 100 + patch`. */
  readonly version: number;
  /** MariaDB's `server_uid`, MySQL's `server_uuid`; empty on a server that has none. */
  readonly identity: string;
  readonly database: string;
  /** Default character set and collation of the database. */
  readonly encoding: string;
  readonly collation: string;
  /** `BACKUP STAGE`, which holds commits and DDL but no reads and no other writes; elsewhere FLUSH TABLES WITH READ LOCK. */
  readonly hasBackupStages: boolean;
  /** Rows of the history of system-versioned tables can be loaded. */
  readonly loadsHistory: boolean;
  /** Objects of JavaScript that routines use. */
  readonly hasLibraries: boolean;
}

/** @throws DR_INCOMPATIBLE for a server that is too old */
export async function readFlavour(session: MysqlSession): Promise<Flavour> {
  const [row] = await session.query(
    `SELECT VERSION() AS version, DATABASE() AS name, @@version_comment AS comment,
       @@character_set_database AS encoding, @@collation_database AS collation`,
  );
  const versionText = row?.version ?? '';
  const isMariadb = /mariadb/i.test(`${versionText} ${row?.comment}`);
  // Some servers put a number before their version so that old clients take them for MySQL 5.5.
  const [, major, minor, patch] = /^(?:5\.5\.5-)?(\d+)\.(\d+)\.(\d+)/.exec(versionText) ?? [];
  const version = Number(major) * 10_000 + Number(minor) * 100 + Number(patch);
  if (version < (isMariadb ? 100_300 : 80_017)) {
    throw new HoldfastError(
      'DR_INCOMPATIBLE',
      `The server is ${versionText}; it must be MariaDB 10.3 or MySQL 8.0.17 at least.`,
    );
  }
  return {
    dialect: isMariadb ? Dialect.MARIADB : Dialect.MYSQL,
    versionText,
    version,
    identity: await readIdentity(session, isMariadb),
    database: row?.name ?? '',
    encoding: row?.encoding ?? '',
    collation: row?.collation ?? '',
    hasBackupStages: isMariadb && version >= 100_400,
    loadsHistory: isMariadb && version >= 101_100,
    hasLibraries: !isMariadb && version >= 90_200,
  };
}

async function readIdentity(session: MysqlSession, isMariadb: boolean): Promise<string> {
  const variable = isMariadb ? 'server_uid' : 'server_uuid';
  const [row] = await session.query(`SHOW GLOBAL VARIABLES LIKE '${variable}'`);
  return row?.Value ?? '';
}
