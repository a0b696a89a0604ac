import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { ask, post } from '../support/graphql.ts';
import { type HoldfastProcess, startHoldfast } from '../support/holdfast.ts';
import { MariadbDatabases } from '../support/mariadb-databases.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const SHOP = `CREATE TABLE users (id int PRIMARY KEY, name varchar(40) NOT NULL);
INSERT INTO users SELECT seq, concat('user ', seq) FROM seq_1_to_500;
CREATE TABLE orders (id int AUTO_INCREMENT PRIMARY KEY, buyer int NOT NULL, what text, FOREIGN KEY (buyer) REFERENCES users (id));
INSERT INTO orders (buyer, what) SELECT 1 + seq % 500, repeat(md5(seq), 10) FROM seq_1_to_2000;`;

interface Job {
  readonly id: string;
  readonly state: string;
  readonly error: { readonly code: string } | null;
}

describeWith('mariadb', 'disaster recovery of MariaDB by mutation', () => {
  let databases: MariadbDatabases;
  beforeAll(async () => {
    databases = await MariadbDatabases.start();
  });
  afterAll(() => databases[Symbol.asyncDispose]());

  it('backs up, refuses, and goes on with a restore that a kill -9 interrupted', async () => {
    await using directory = await temporaryDirectory();
    const [shop, copy] = [await databases.create(SHOP), await databases.create()];
    const config = join(directory.path, 'holdfast.json');
    const sources = { shop: { url: shop }, copy: { url: copy } };
    await writeFile(config, JSON.stringify({ dr: { dir: join(directory.path, 'archives'), workers: 2, sources } }));
    const start = (failpoint?: string): HoldfastProcess =>
      startHoldfast(
        ['start', '--config', config, '--port', '0', '--ops-port', '0', '--data', join(directory.path, 'data')],
        failpoint === undefined ? {} : { HOLDFAST_FAILPOINT: failpoint },
      );
    const finished = (ops: string, id: string) =>
      eventually(
        'the job ends',
        async () => {
          const query = 'query($id: ID!) { drJob(id: $id) { id state error { code } } }';
          const { drJob } = await ask<{ drJob: Job }>(ops, query, { id });
          return ['QUEUED', 'RUNNING'].includes(drJob.state) ? undefined : drJob;
        },
        60_000,
      );
    const mutate = async (ops: string, call: string) =>
      (await ask<{ job: Job }>(ops, `mutation { job: ${call} { id } }`)).job.id;
    const codeOf = async (ops: string, call: string) =>
      (await post(ops, `mutation { ${call} { id } }`)).errors?.[0]?.extensions.code;

    await using first = start('restore.afterChunk');
    const firstOps = `${(await first.ready).opsUrl}/graphql`;
    const backup = await mutate(firstOps, 'drBackup(input: {source: "shop"})');
    expect(await finished(firstOps, backup)).toMatchObject({ state: 'SUCCEEDED', error: null });
    const into = (target: string): string => `drRestore(input: {backup: "${backup}", target: "${target}"})`;
    const wrong = [
      'suffixes: [{table: "users", sql: "WHERE true; DROP TABLE users"}]',
      'tables: ["nothing"]',
      'closure: true',
    ];
    for (const mistake of wrong) {
      expect(await codeOf(firstOps, `drBackup(input: {source: "shop", ${mistake}})`)).toBe('VALIDATION_FAILED');
    }
    expect(await codeOf(firstOps, into('shop'))).toBe('DR_TARGET_IS_SOURCE');
    const restore = await mutate(firstOps, into('copy'));
    expect(await first.exited).toBe('SIGKILL');

    await using second = start();
    const ops = `${(await second.ready).opsUrl}/graphql`;
    expect(await finished(ops, restore)).toMatchObject({ state: 'SUCCEEDED', error: null });
    expect(await databases.contents(copy)).toEqual(await databases.contents(shop));
    expect(await codeOf(ops, into('copy'))).toBe('DR_TARGET_NOT_EMPTY');
  });
});
