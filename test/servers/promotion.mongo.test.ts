import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { ask, post } from '../support/graphql.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { count, create, names, nodes } from '../support/nodes.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { startMongo } from '../support/servers/mongo.ts';

describeWith('mongodb', 'promotion of a replica whose primaries share a MongoDB server', () => {
  it('fences both primaries, which give up what it does not have to a file and a list', async () => {
    await using mongodb = await startMongo();
    await using cluster = await nodes();
    const environment = { HOLDFAST_STORE_URL: mongodb.urlOf('promotion') };
    const primaries = [await cluster.primary('one', environment), await cluster.primary('two', environment)];
    const replica = await cluster.replica('chosen', primaries);
    await Promise.all([...primaries, replica].map(({ ready }) => ready));
    const [one, two] = primaries as [(typeof primaries)[0], (typeof primaries)[0]];
    await create(one.url, names('before', 5));
    await create(two.url, names('other', 5));
    await eventually('all are there', async () => (await count(replica.url)) === 10, 20_000);

    // Acknowledged, and not on the disk of the one that is promoted.
    process.kill(replica.pid, 'SIGSTOP');
    await create(one.url, names('lost', 3));
    process.kill(one.pid, 'SIGSTOP');
    // The first one cannot have heard of these when it learns that it is fenced.
    await create(two.url, names('gone', 2));
    process.kill(two.pid, 'SIGSTOP');
    await replica.kill();
    replica.start();
    await replica.ready;
    expect(await runHoldfast(['replica', 'promote', '--url', replica.opsUrl])).toMatchObject({ code: 0 });
    await create(replica.url, names('after', 3));
    for (const { pid } of primaries) process.kill(pid, 'SIGCONT');

    for (const primary of primaries) {
      const write = () => post(primary.url, 'mutation{createThing(input:{id:"late",name:"late"}){outcome}}');
      const code = async () => (await write()).errors?.[0]?.extensions.code;
      await eventually('it is fenced', async () => (await code()) === 'FENCED', 30_000);
      const kept = async (): Promise<string[]> => {
        const file = (await readdir(primary.data)).find((name) => /^divergent-[0-9a-f]{32}-\d+\.jsonl$/.test(name));
        const lines = (await readFile(join(primary.data, `${file}`), 'utf8')).trim().split('\n');
        return lines.map((line) => (JSON.parse(line) as { id: string }).id);
      };
      await eventually('the file is there', () => kept().then(Boolean, () => false), 30_000);
      expect(await kept()).toEqual(expect.arrayContaining([...names('lost', 3), ...names('gone', 2)]));
      const { conflicts } = await ask<{ conflicts: { document: string }[] }>(primary.opsUrl, '{conflicts{document}}');
      expect(conflicts.map(({ document }) => document)).toEqual(expect.arrayContaining(['"lost-1"', '"gone-1"']));
    }
    expect(await count(replica.url)).toBe(13);
  });
});
