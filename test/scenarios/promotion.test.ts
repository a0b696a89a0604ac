import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { ask, post } from '../support/graphql.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { count, create, type Node, names, nodes } from '../support/nodes.ts';

const CREATE = 'mutation Create($input: CreateThingInput!) { createThing(input: $input) { version position } }';
const CONFLICTS = '{ conflicts { kind collection document proposed outcome } }';

const keyed = (url: string, id: string, key: string) =>
  post(url, CREATE, { input: { id, name: id } }, { 'idempotency-key': key });
const promote = ({ opsUrl }: Node, ...flags: string[]) =>
  runHoldfast(['replica', 'promote', '--url', opsUrl, '--json', ...flags]);
const codeOf = async (url: string, id: string) =>
  (await post(url, CREATE, { input: { id, name: id } })).errors?.[0]?.extensions.code ?? 'OK';

it('hands over to a replica; the former primary, when it resumes, is fenced and gives up its own writes to a file and a list', async () => {
  await using cluster = await nodes();
  const primary = await cluster.primary();
  await primary.ready;
  const chosen = await cluster.replica('chosen', [primary]);
  const other = await cluster.replica('other', [primary, chosen]);
  await Promise.all([chosen.ready, other.ready]);
  await create(primary.url, names('before', 10));
  const first = await keyed(primary.url, 'once', 'k1');
  expect(first.errors).toBeUndefined();
  await Promise.all(
    [chosen, other].map((replica) =>
      eventually('all are there', async () => (await count(replica.url)) === 11, 20_000),
    ),
  );
  await Promise.all([chosen.kill(), other.kill()]);

  // Acknowledged, and on nobody else's disk.
  await keyed(primary.url, 'lost-0', 'k2');
  await create(primary.url, names('lost', 5).slice(1));
  process.kill(primary.pid, 'SIGSTOP');
  chosen.start();
  await chosen.ready;
  const promoted = await promote(chosen);
  expect(promoted).toMatchObject({ code: 0 });
  expect(JSON.parse(promoted.stdout)).toEqual({ position: '2.12', epoch: 2, lostChanges: null });

  // A retry of what came over gets the first answer, one of what did not is made once.
  expect((await keyed(chosen.url, 'once', 'k1')).data).toEqual(first.data);
  const again = [await keyed(chosen.url, 'lost-0', 'k2'), await keyed(chosen.url, 'lost-0', 'k2')];
  expect(again[1]?.data).toEqual(again[0]?.data);
  expect(again[0]?.data).toMatchObject({ createThing: { position: '2.13' } });
  await create(chosen.url, names('after', 10));

  // The others go on from their cursors.
  other.start();
  await other.is('LIVE');
  expect((await other.following())?.primary).toBe(chosen.websocket);
  expect(other.output()).not.toMatch(/copying the source|fetching what differs/);
  expect(await other.verify('--deep')).toMatchObject({ code: 0 });
  expect(await codeOf(other.url, 'through-other')).toBe('OK');

  process.kill(primary.pid, 'SIGCONT');
  await eventually(
    'the former primary is fenced',
    async () => (await codeOf(primary.url, 'late')) === 'FENCED',
    30_000,
  );
  const read = await post(primary.url, '{ thingsCount }');
  expect(read).toMatchObject({
    data: { thingsCount: expect.any(Number) },
    extensions: { holdfast: { degraded: true } },
  });
  const divergent = async (): Promise<Record<string, unknown>[]> => {
    const [file] = (await readdir(primary.data)).filter((name) => /^divergent-[0-9a-f]{32}-12\.jsonl$/.test(name));
    const text = await readFile(join(primary.data, file as string), 'utf8');
    return text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  };
  await eventually('the file is there', () => divergent().then(Boolean, () => false), 10_000);
  const kept = (await divergent()).map(({ id }) => id);
  expect(kept).toEqual(expect.arrayContaining([...names('lost', 5)]));
  const listed = async (node: Node) =>
    (await ask<{ conflicts: { document: string }[] }>(node.opsUrl, CONFLICTS)).conflicts;
  await eventually('they are listed', async () => (await listed(primary)).length === kept.length, 10_000);
  expect(await listed(primary)).toContainEqual({
    ...{ kind: 'DIVERGED', collection: 'things', document: '"lost-1"', outcome: 'OPEN' },
    proposed: expect.stringContaining('"name":"lost-1"'),
  });

  // For good.
  await primary.kill();
  primary.start();
  await primary.ready;
  expect(await codeOf(primary.url, 'late')).toBe('FENCED');
  expect((await runHoldfast(['status', '--url', primary.opsUrl])).stdout).toContain('fenced by epoch 2');
  await primary.stop();

  // Its directory becomes a replica, when an operator says so.
  const former = await cluster.replica('primary', [chosen]);
  await former.is('FORKED');
  const resync = (...flags: string[]) => runHoldfast(['replica', 'resync', ...flags, '--url', former.opsUrl]);
  expect(await resync()).toMatchObject({ code: 1, stderr: expect.stringContaining('FORK') });
  expect(await resync('--force')).toMatchObject({ code: 0 });
  await former.is('LIVE');
  expect(await former.verify('--deep')).toMatchObject({ code: 0 });
  expect(await listed(former)).toHaveLength(kept.length);
  expect(await codeOf(former.url, 'through-former')).toBe('OK');
  expect(await count(chosen.url)).toBe(await count(former.url));

  // A promoted directory is a primary's, whichever way it is started; a replica's is not.
  await chosen.stop();
  const started = await cluster.primary('chosen');
  await started.ready;
  expect(await codeOf(started.url, 'later')).toBe('OK');
  await other.stop();
  const refused = await runHoldfast(['start', '--data', other.data, '--port', '0', '--ops-port', '0']);
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('is the copy of a replica') });
});

it('loses and doubles nothing that clients send again, when the primary is killed under load', async () => {
  await using cluster = await nodes();
  const primary = await cluster.primary();
  await primary.ready;
  await create(primary.url, ['counter']);
  const replica = await cluster.replica('replica', [primary]);
  await replica.ready;
  let target = primary.url;
  let sent = 0;
  let ended = false;
  const increment = async (key: string): Promise<void> => {
    const query = 'mutation { updateThing(id: "counter", inc: { n: 1 }) { position } }';
    for (;;) {
      const answer = await post(target, query, {}, { 'idempotency-key': key }).catch(() => undefined);
      if (answer !== undefined && answer.errors === undefined) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const write = async (client: number): Promise<number> => {
    let written = 0;
    for (; !ended; written++) {
      sent += 1;
      await increment(`${client}-${written}`);
    }
    return written;
  };
  const clients = Promise.all(Array.from({ length: 8 }, (_, client) => write(client)));
  await eventually('some were written', () => sent > 300, 20_000);
  await primary.kill();
  expect(await promote(replica)).toMatchObject({ code: 0 });
  const before = sent;
  target = replica.url;
  await eventually('more were written', () => sent > before + 300, 20_000);
  ended = true;
  const written = await clients;
  // What the killed primary alone had acknowledged is sent again, and everything else too.
  for (const [client, count] of written.entries()) {
    for (let number = 0; number < count; number++) await increment(`${client}-${number}`);
  }
  const { thing } = await ask<{ thing: { n: number } }>(replica.url, '{ thing(id: "counter") { n } }');
  expect(thing.n).toBe(written.reduce((sum, count) => sum + count, 0));
});
