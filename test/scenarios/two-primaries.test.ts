import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { ask, post } from '../support/graphql.ts';
import { type Load, startLoad } from '../support/load.ts';
import { create, type Node, nodes, type Subscriber, subscriber } from '../support/nodes.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { startMongo } from '../support/servers/mongo.ts';
import { startRedis } from '../support/servers/redis.ts';
import type { TestServer } from '../support/servers/server.ts';

interface Event {
  readonly thingChanged: { readonly id: string; readonly position: string };
}

const CHANGES = 'subscription($after: Position) { thingChanged(after: $after) { id position } }';

interface Cluster {
  readonly primaries: readonly [Node, Node];
  readonly replicas: readonly Node[];
  readonly redis: TestServer;
  /** Position after the only thing there is. */
  readonly start: string;
}

async function startCluster(parts: AsyncDisposableStack): Promise<Cluster> {
  const mongo = parts.use(await startMongo());
  const redis = parts.use(await startRedis());
  const cluster = parts.use(await nodes());
  const environment = {
    HOLDFAST_STORE_URL: mongo.urlOf('scenario'),
    HOLDFAST_CHANGE_LOG_REDIS: redis.url,
    HOLDFAST_TELEMETRY_LEVEL: 'warn',
  };
  const primaries = [
    await cluster.primary('first', environment),
    await cluster.primary('second', environment),
  ] as const;
  const replicas = [];
  for (const name of ['a', 'b', 'c']) replicas.push(await cluster.replica(name, primaries));
  await Promise.all([...primaries, ...replicas].map(({ ready }) => ready));
  return { primaries, replicas, redis, start: await create(primaries[0].url, ['start']) };
}

const urls = (of: readonly Node[]): string[] => of.map(({ url }) => url);

function enough(load: Load, more: number): Promise<unknown> {
  const goal = load.created.size + more;
  return eventually(`${more} more are created`, () => load.created.size >= goal, 90_000);
}

/** Writes a thing on the primary, and waits until a replica shows it; how long after the acknowledgement that was, in ms. */
async function lagOf(primary: Node, replica: Node, id: string): Promise<number> {
  const write = 'mutation($id: ID!, $name: String!) { createThing(input: { id: $id, name: $name }) { position } }';
  const read = 'query($id: ID!) { thing(id: $id) { id } }';
  const told = async (node: Node, query: string, field: string, variables = {}): Promise<void> => {
    let last: unknown;
    await eventually(
      `${field} ${id}`,
      async () => {
        const answer = await post(node.url, query, { id, ...variables }, { 'idempotency-key': id }).catch(
          (error: Error) => error,
        );
        last = answer;
        return !(answer instanceof Error) && answer.data?.[field];
      },
      60_000,
    ).catch((error: Error) => {
      throw new Error(`${error.message}; the last answer was ${JSON.stringify(last)}`);
    });
  };
  await told(primary, write, 'createThing', { name: id });
  const written = performance.now();
  await told(replica, read, 'thing');
  return Math.round(performance.now() - written);
}

/** Every node has exactly what was acknowledged, and every replica the digests of its primary. */
async function areEqual(
  { primaries, replicas }: Pick<Cluster, 'replicas'> & { readonly primaries: readonly Node[] },
  ids: Iterable<string>,
): Promise<void> {
  const expected = [...ids].sort();
  for (const replica of replicas) expect(await replica.verify('--deep')).toMatchObject({ code: 0 });
  for (const node of [...primaries, ...replicas]) {
    await eventually(`${node.data} has them all`, async () => (await countOf(node)) >= expected.length, 30_000);
    expect(await idsOf(node)).toEqual(expected);
  }
}

async function countOf(node: Node): Promise<number> {
  return (await ask<{ thingsCount: number }>(node.url, '{ thingsCount }')).thingsCount;
}

async function idsOf(node: Node): Promise<string[]> {
  const query = 'query($offset: Int!) { things(orderBy: [{ id: ASC }], limit: 500, offset: $offset) { id } }';
  const found: string[] = [];
  for (;;) {
    const { things } = await ask<{ things: { id: string }[] }>(node.url, query, { offset: found.length });
    if (things.length === 0) return found.sort();
    found.push(...things.map(({ id }) => id));
  }
}

describeWith(
  'mongodb',
  'two primaries, Redis and three replicas',
  () => {
    describeWith('redis', 'under load', () => {
      it('go on when a primary is killed: subscribers resume on the other, each change once and in order', async () => {
        await using parts = new AsyncDisposableStack();
        const cluster = await startCluster(parts);
        const { primaries, start } = cluster;
        const [first, second] = primaries;
        const before: Subscriber<Event> = subscriber(first.websocket, CHANGES, { after: start });
        await using load = startLoad(urls(primaries), 500);
        await enough(load, 500);
        await first.kill();
        await before.ended;
        await enough(load, 500);
        const last = before.events.at(-1)?.thingChanged.position ?? start;
        expect(before.events.length).toBeGreaterThan(0);
        const after: Subscriber<Event> = subscriber(second.websocket, CHANGES, { after: last });
        await load.stop();
        const seen = () => [...before.events, ...after.events].map(({ thingChanged }) => thingChanged);
        await eventually('the subscriber has them all', () => seen().length >= load.created.size, 30_000);
        after.stop();
        expect(
          seen()
            .map(({ id }) => id)
            .sort(),
        ).toEqual([...load.created].sort());
        expect(seen().map(({ position }) => position)).toEqual(seen().map((_, place) => `1.${place + 2}`));
        expect(load.unexpected).toEqual([]);
        await areEqual({ ...cluster, primaries: [second] }, ['start', ...load.created]);
      });

      it('lose nothing and do not fall behind when Redis is flushed and killed', async ({ annotate }) => {
        await using parts = new AsyncDisposableStack();
        const cluster = await startCluster(parts);
        const { primaries, replicas, redis } = cluster;
        const [first, second] = primaries;
        await using load = startLoad(urls(primaries), 2_000);
        await enough(load, 300);
        const begun = performance.now();
        const sizeBefore = load.created.size;
        const markers: string[] = [];
        const lags: number[] = [];
        const mark = async (what: string): Promise<void> => {
          const id = `${what}-${markers.length}`;
          const [primary, replica] = [markers.length % 2 === 0 ? first : second, replicas[markers.length % 3] as Node];
          markers.push(id);
          lags.push(await lagOf(primary, replica, id));
        };
        await mark('calm');
        for (let round = 0; round < 2; round++) {
          await flush(redis);
          await mark('flushed');
          await redis.kill();
          await mark('killed');
          await enough(load, 100);
          await redis.restart();
          await mark('back');
        }
        const rate = (load.created.size - sizeBefore) / ((performance.now() - begun) / 1_000);
        await load.stop();
        await annotate(`${Math.round(rate)} changes/s; from write to replica ${lags.join(', ')} ms`);
        expect(load.unexpected).toEqual([]);
        await areEqual(cluster, ['start', ...load.created, ...markers]);
      });
    });
  },
  { killable: true },
);

async function flush({ url }: TestServer): Promise<void> {
  const { Redis } = await import('ioredis');
  const client = new Redis(url);
  await client.flushall();
  client.disconnect();
}
