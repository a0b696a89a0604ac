import { spawnSync } from 'node:child_process';
import { SERVER_KINDS, serverAvailability } from './availability.ts';
import { JAVA_TOOLS, launchWithoutJava } from './mongo-launch.ts';
import { postgresPrograms } from './postgres.ts';
import { findProgram } from './process.ts';

// Prepares a machine for the tests that need servers, and says which they run on: `npm run servers`. Where it is root on a Debian,
// it installs what is missing; elsewhere it names it, and those tests are skipped (with CI=true they fail).

const lacks = (...programs: readonly string[]) => programs.some((name) => findProgram(name) === undefined);

function missingPackages(): string[] {
  return [
    ...(lacks('redis-server') ? ['redis-server'] : []),
    ...(postgresPrograms() === undefined || lacks('pg_dump') ? ['postgresql', 'postgresql-client'] : []),
    ...(lacks('mariadbd', 'mariadb-install-db') ? ['mariadb-server'] : []),
    ...(lacks(...JAVA_TOOLS) && launchWithoutJava() === undefined ? ['maven', 'default-jdk-headless'] : []),
  ];
}

function aptGet(...args: readonly string[]): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  return spawnSync('apt-get', args, { stdio: ['ignore', 'ignore', 'inherit'], env }).status === 0;
}

const missing = missingPackages();
if (missing.length > 0 && process.getuid?.() === 0 && !lacks('apt-get')) {
  console.log(`servers: installing ${missing.join(' ')}`);
  aptGet('update', '-qq');
  aptGet('install', '-y', '-qq', '--no-install-recommends', ...missing);
}
const unmet = missing.length > 0 ? missingPackages() : [];
if (unmet.length > 0) console.log(`servers: to run every test, install ${unmet.join(' ')}`);
for (const kind of SERVER_KINDS) {
  const availability = await serverAvailability(kind);
  const words = availability.available ? `run on ${availability.what}` : `skipped: ${availability.reason}`;
  console.log(`servers: tests of ${kind} ${words}`);
}
