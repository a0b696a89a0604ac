import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { post } from '../support/graphql.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { create, names, nodes } from '../support/nodes.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { startMongo } from '../support/servers/mongo.ts';

describeWith(
  'mongodb',
  'A primary that is started while its database is away',
  () => {
    it('answers reads from its copy, refuses writes, and is on the database once that is there', async () => {
      await using mongo = await startMongo();
      await using cluster = await nodes();
      const primary = await cluster.primary('primary', { HOLDFAST_STORE_URL: mongo.urlOf('away') });
      await primary.ready;
      await create(primary.url, names('thing', 20));
      const query = '{ things(limit: 5) { id name } thingsCount }';
      const read = (headers: Record<string, string> = {}) => post(primary.url, query, {}, headers);
      const answered = async () => (await read()).extensions?.holdfast?.source;
      const fallback = async (command: string) => {
        const { code, stdout } = await runHoldfast(['fallback', command, '--url', primary.opsUrl, '--json']);
        return { code, ...(JSON.parse(stdout) as Record<string, unknown>) };
      };
      expect((await read()).extensions?.holdfast?.source).toBe('DATABASE');
      // Kept from it by hand: once the copy answers it has everything.
      await eventually('the copy is whole', async () => {
        await fallback('force');
        const whole = (await read()).data?.thingsCount === 20;
        await fallback('release');
        return whole;
      });
      await primary.stop();
      await mongo.stop();

      primary.start();
      await primary.ready;
      const away = await read();
      expect(away.errors).toBeUndefined();
      expect(away.data?.things).toHaveLength(5);
      expect(away.data?.thingsCount).toBe(20);
      expect(away.extensions?.holdfast).toMatchObject({ source: 'LIVE', degraded: true, position: '1.20' });
      const stale = await read({ 'holdfast-max-staleness-ms': '0' });
      expect(stale.errors?.[0]?.extensions).toMatchObject({ code: 'STALE_READ', retryable: true });
      const write = await post(primary.url, 'mutation { createThing(input: { name: "x" }) { outcome } }');
      expect(write.errors?.[0]?.extensions).toMatchObject({
        ...{ code: 'DATABASE_UNAVAILABLE', retryAfterMs: 1_000, retryable: true },
      });
      expect(await fallback('status')).toMatchObject({ code: 3, state: 'OPEN', incidents: [{ writesRefused: 1 }] });

      await mongo.restart();
      await eventually('the database answers', async () => (await answered()) === 'DATABASE', 20_000);
      await create(primary.url, ['later']);
      expect(await fallback('status')).toMatchObject({ code: 0, state: 'CLOSED' });
    });
  },
  { killable: true },
);
