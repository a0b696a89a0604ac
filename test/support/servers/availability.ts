import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { mongoLaunch } from './mongo-launch.ts';
import { mysqlLaunch } from './mysql-launch.ts';
import { postgresPrograms } from './postgres.ts';
import { findProgram } from './process.ts';

/** The kinds of servers that tests run on. */
export const SERVER_KINDS = ['mongodb', 'redis', 'postgres', 'mariadb', 'mysql'] as const;
export type ServerKind = (typeof SERVER_KINDS)[number];

/** What a test runs on, and whether it may kill and suspend it. */
export interface Available {
  readonly available: true;
  readonly what: string;
  readonly killable: boolean;
}

export type Availability = Available | { readonly available: false; readonly reason: string };

const known = new Map<ServerKind, Availability>();

/** Whether a server of this kind can be had here, and which, or what to install. Looked for once in a process. */
export async function serverAvailability(kind: ServerKind): Promise<Availability> {
  return availabilityOf(kind);
}

/** {@link serverAvailability} without waiting, for the time when tests are collected. */
export function availabilityOf(kind: ServerKind): Availability {
  const availability = known.get(kind) ?? LOOKS[kind]();
  known.set(kind, availability);
  return availability;
}

const LOOKS: Readonly<Record<ServerKind, () => Availability>> = {
  mongodb() {
    const launch = mongoLaunch();
    if ('reason' in launch) return { available: false, reason: launch.reason };
    return { available: true, what: launch.what, killable: !('url' in launch) };
  },
  redis: () => installed('Redis', findProgram('redis-server'), 'redis-server'),
  postgres() {
    const programs = postgresPrograms();
    return installed('PostgreSQL', programs && join(programs, 'postgres'), 'postgresql and postgresql-client');
  },
  mariadb: () => installed('MariaDB', findProgram('mariadbd'), 'mariadb-server'),
  mysql() {
    const launch = mysqlLaunch();
    if ('reason' in launch) return { available: false, reason: launch.reason };
    return { available: true, what: launch.what, killable: true };
  },
};

function installed(name: string, program: string | undefined, packages: string): Availability {
  if (program === undefined) return { available: false, reason: `no ${name}: install ${packages}` };
  const version =
    /\d+\.\d+(\.\d+)?/.exec(spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout ?? '')?.[0] ?? '';
  return { available: true, what: `${name} ${version} (${program})`, killable: true };
}
