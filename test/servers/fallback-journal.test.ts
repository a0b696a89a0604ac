import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { MongoClient } from 'mongodb';
import { expect, it } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { DrillProxy } from '../../src/fallback/drill/proxy.ts';
import { createGateway } from '../../src/gateway.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { eventually } from '../support/eventually.ts';
import { ask, post } from '../support/graphql.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { databaseName } from '../support/mongo-store.ts';
import { seededRandom } from '../support/random.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { type MongoServer, startMongo } from '../support/servers/mongo.ts';
import { shared } from '../support/servers/shared.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const SCHEMA = `
type Thing @entity @fallback(writes: JOURNAL) { id: ID! @id  name: String @unique  n: Int }
type Merged @entity @fallback(writes: JOURNAL) @conflict(policy: LAST_WRITE_WINS) { id: ID! @id  name: String }
type Plain @entity { id: ID! @id }
`;
const CREATE = 'mutation($i:CreateThingInput!){createThing(input:$i){outcome version position journalId thing{id n}}}';
const COUNT_UP = 'mutation($id:ID!){updateThing(id:$id,inc:{n:1}){outcome thing{n}}}';
const SET = 'mutation($id:ID!,$n:Int){updateThing(id:$id,set:{n:$n}){outcome}}';

interface Stored {
  readonly _id: string;
  readonly name?: string;
  readonly n?: number;
  readonly _holdfast?: { readonly deleted?: true };
}

/** A gateway on a database of its own, behind a proxy that can keep it away. */
async function setUp(server: MongoServer, environment: Record<string, string> = {}) {
  await using parts = new AsyncDisposableStack();
  const proxy = parts.use(await DrillProxy.start({ target: { host: '127.0.0.1', port: server.port } }));
  const directory = parts.use(await temporaryDirectory());
  mkdirSync(join(directory.path, 'schema'));
  writeFileSync(join(directory.path, 'schema', 'schema.graphql'), SCHEMA);
  const url = server.urlOf(databaseName());
  const client = parts.use(new MongoClient(url));
  const { config } = await loadConfig({
    directory: directory.path,
    env: {
      ...{ HOLDFAST_STORE_URL: url.replace(`:${server.port}`, `:${proxy.port}`), HOLDFAST_STORE_DATA: directory.path },
      ...{ HOLDFAST_SCHEMA: join(directory.path, 'schema'), HOLDFAST_SERVER_PORT: '0', HOLDFAST_SERVER_OPS_PORT: '0' },
      ...environment,
    },
  });
  const logger = createLogger({
    pretty: false,
    destination: new Writable({ write: (_chunk, _encoding, done) => done() }),
  });
  let gateway = await createGateway(config, { logger });
  parts.defer(() => gateway.stop());
  const opsOf = <T>(query: string) => ask<T>(gateway.opsUrl, query);
  const bench = {
    ...{ proxy, client, directory: directory.path },
    get opsUrl() {
      return gateway.opsUrl;
    },
    things: client.db().collection<Stored>('things'),
    write: (query: string, variables: Record<string, unknown>, key?: string) =>
      post(gateway.url, query, variables, key === undefined ? {} : { 'idempotency-key': key }),
    async outcome(query: string, variables: Record<string, unknown>, key?: string) {
      const { data, errors } = await bench.write(query, variables, key);
      const [first] = Object.values((data ?? {}) as Record<string, { outcome: string } | null>);
      return errors?.[0]?.extensions.code ?? first?.outcome;
    },
    read: (query: string) => post(gateway.url, query),
    journal: async () =>
      (
        await opsOf<{ journal: { waiting: number; conflicts: number; held: number } }>(
          '{journal{waiting conflicts held}}',
        )
      ).journal,
    /** Resolves when the copy has everything, so that writes may wait. */
    async copied(count: number) {
      await opsOf('mutation{fallbackForce{state}}');
      await eventually('the copy has everything', async () => {
        const { data } = await bench.read('{thingsCount}');
        return data?.thingsCount === count;
      });
      await opsOf('mutation{fallbackRelease{state}}');
    },
    refuse: () => proxy.set({ kind: 'REFUSE' }),
    hang: () => proxy.set({ kind: 'HANG_BEFORE', monitoring: true }),
    async back() {
      proxy.set();
      proxy.reset();
      await eventually('nothing waits', async () => (await bench.journal()).waiting === 0, 20_000);
      await eventually('the database answers', async () => {
        const { extensions } = await bench.read('{thingsCount}');
        return extensions?.holdfast?.source === 'DATABASE';
      });
    },
    async restart(between: () => void = () => {}) {
      await gateway.stop();
      between();
      gateway = await createGateway(config, { logger });
    },
  };
  const owned = parts.move();
  return Object.assign(bench, { [Symbol.asyncDispose]: () => owned.disposeAsync() });
}

describeWith(
  'mongodb',
  'The journal of a primary on MongoDB',
  () => {
    const server = shared(startMongo);

    it('keeps writes while the database is away, shows them to their writer, and brings them there', async () => {
      await using bench = await setUp(server());
      await bench.write(CREATE, { i: { id: 'a', name: 'Ada', n: 1 } });
      await bench.copied(1);
      bench.refuse();
      const payload = { outcome: 'JOURNALED', version: null, position: null };
      const created = await bench.write(CREATE, { i: { id: 'b', n: 2 } });
      expect(created.data).toEqual({ createThing: { ...payload, journalId: '1', thing: { id: 'b', n: 2 } } });
      expect(created.extensions?.holdfast).toMatchObject({ source: 'MIXED', degraded: true });
      expect(await bench.outcome(COUNT_UP, { id: 'a' })).toBe('JOURNALED');
      expect(await bench.outcome(CREATE, { i: { id: 'c', name: 'Ada' } })).toBe('ALREADY_EXISTS');
      expect(await bench.outcome('mutation{createPlain(input:{}){outcome}}', {})).toBe('DATABASE_UNAVAILABLE');
      const { data, extensions } = await bench.read('{things(orderBy:[{n:DESC},{id:DESC}]){id n} thingsCount}');
      expect(data).toEqual({
        ...{
          things: [
            { id: 'b', n: 2 },
            { id: 'a', n: 2 },
          ],
          thingsCount: 2,
        },
      });
      expect(extensions?.holdfast).toMatchObject({
        source: 'MIXED',
        fields: expect.arrayContaining([
          expect.objectContaining({ entity: 'Thing', source: 'LIVE' }),
          expect.objectContaining({ entity: 'Thing', source: 'JOURNAL' }),
        ]),
      });
      await bench.back();
      expect(
        await bench.things
          .find({}, { projection: { n: 1 } })
          .sort({ _id: 1 })
          .toArray(),
      ).toEqual([
        { _id: 'a', n: 2 },
        { _id: 'b', n: 2 },
      ]);
      // The first write found the outage out.
      const status = '{fallbackStatus{incidents{writesJournaled writesRefused}}}';
      expect(JSON.stringify(await ask(bench.opsUrl, status))).toMatch(/"writesJournaled":[12],"writesRefused":1/);
    });

    it('row 5: applies a write once whose answer was lost', async () => {
      await using bench = await setUp(server());
      await bench.write(CREATE, { i: { id: 'a', n: 0 } });
      await bench.copied(1);
      // The server does the first and nobody hears of it; then it hangs.
      bench.proxy.set(
        { kind: 'HANG_AFTER', commands: ['update', 'findAndModify'], times: 1 },
        { kind: 'HANG_BEFORE', monitoring: true },
      );
      expect(await bench.outcome(COUNT_UP, { id: 'a' })).toBe('JOURNALED');
      expect(await bench.outcome(COUNT_UP, { id: 'a' })).toBe('JOURNALED');
      await bench.back();
      expect(await bench.things.findOne({ _id: 'a' })).toMatchObject({ n: 2 });
      const log = bench.client.db().collection('holdfast_log');
      expect(await log.countDocuments({ collection: 'things' })).toBe(3);
    });

    it('does not say of a document that it is not there because its copy does not have it', async () => {
      await using bench = await setUp(server());
      await bench.write(CREATE, { i: { id: 'a', n: 0 } });
      await bench.copied(1);
      bench.refuse();
      expect(await bench.outcome(COUNT_UP, { id: 'elsewhere' })).toBe('DATABASE_UNAVAILABLE');
      const remove = 'mutation($id:ID!){deleteThing(id:$id){outcome}}';
      expect(await bench.outcome(remove, { id: 'a' })).toBe('JOURNALED');
      expect(await bench.outcome(remove, { id: 'a' })).toBe('NOT_FOUND');
      await bench.back();
    });

    it('names the key of a write without one whose outcome is not known, and answers under it', async () => {
      await using bench = await setUp(server());
      bench.proxy.set({ kind: 'HANG_BEFORE', commands: ['insert'] });
      const create = 'mutation{createPlain(input:{}){outcome plain{id}}}';
      const { errors } = await bench.write(create, {});
      const { code, idempotencyKey } = errors?.[0]?.extensions ?? { code: 'none' };
      expect([code, idempotencyKey]).toEqual(['WRITE_OUTCOME_UNKNOWN', expect.stringMatching(/^hf-/)]);
      bench.proxy.set();
      bench.proxy.reset();
      const again = async () => bench.write(create, {}, String(idempotencyKey));
      const known = await eventually('it is known', async () => (await again()).data?.createPlain);
      expect((await again()).data?.createPlain).toEqual(known);
      expect(await bench.client.db().collection('plains').countDocuments({})).toBe(1);
    });

    it('row 6: journals within its deadline while the database is away, and is back on it after', async () => {
      await using bench = await setUp(server());
      await bench.write(CREATE, { i: { id: 'a', n: 0 } });
      await bench.copied(1);
      for (const fault of [bench.refuse, bench.hang]) {
        fault();
        for (let number = 0; number < 20; number++)
          expect(await bench.outcome(COUNT_UP, { id: 'a' })).toBe('JOURNALED');
        await bench.back();
      }
      expect(await bench.things.findOne({ _id: 'a' })).toMatchObject({ n: 40 });
      expect(await bench.outcome(COUNT_UP, { id: 'a' })).toBe('COMMITTED');
    });

    it('row 13: loses no write while the database comes and goes', async () => {
      await using bench = await setUp(server());
      await bench.write(CREATE, { i: { id: 'a', n: 0 } });
      await bench.copied(1);
      let acknowledged = 0;
      for (let turn = 0; turn < 6; turn++) {
        if (turn % 2 === 0) bench.refuse();
        else bench.proxy.set();
        for (let number = 0; number < 10; number++) {
          const outcome = await bench.outcome(COUNT_UP, { id: 'a' });
          if (outcome === 'COMMITTED' || outcome === 'JOURNALED') acknowledged += 1;
        }
      }
      await bench.back();
      expect(acknowledged).toBe(60);
      expect(await bench.things.findOne({ _id: 'a' })).toMatchObject({ n: acknowledged });
    });

    it('row 16: refuses with JOURNAL_FULL what it cannot keep, and goes on reading', async () => {
      await using bench = await setUp(server(), { HOLDFAST_JOURNAL_MAX_ENTRIES: '2' });
      await bench.write(CREATE, { i: { id: 'a', n: 0 } });
      await bench.copied(1);
      bench.refuse();
      const three = [await bench.outcome(COUNT_UP, { id: 'a' }), await bench.outcome(COUNT_UP, { id: 'a' })];
      three.push(String(await bench.outcome(COUNT_UP, { id: 'a' })));
      expect(three).toEqual(['JOURNALED', 'JOURNALED', 'JOURNAL_FULL']);
      expect((await bench.read('{thing(id:"a"){n}}')).data?.thing).toEqual({ n: 2 });
      await bench.back();
      expect(await bench.outcome(COUNT_UP, { id: 'a' })).toBe('COMMITTED');
      const journal = join(bench.directory, 'journal', 'journal.db');
      await bench.restart(() => writeFileSync(journal, Buffer.alloc(8_192, 7)));
      expect((await bench.read('{thing(id:"a"){n}}')).data?.thing).toEqual({ n: 3 });
      bench.refuse();
      expect(await bench.outcome(COUNT_UP, { id: 'a' })).toBe('JOURNAL_FULL');
      expect((await bench.read('{thing(id:"a"){n}}')).data?.thing).toEqual({ n: 3 });
      const { problems } = (await ask<{ status: { problems: string[] } }>(bench.opsUrl, '{status{problems}}')).status;
      expect(problems.join()).toContain('the journal cannot be used');
    });

    it('row 17: replays beside foreign writes as an oracle would, and loses none of what does not go together', async () => {
      await using bench = await setUp(server());
      const random = seededRandom(17);
      const ids = Array.from({ length: 12 }, (_, i) => `d${i}`);
      for (const id of ids) await bench.write(CREATE, { i: { id, n: 0 } });
      await bench.copied(ids.length);
      bench.refuse();
      const expected = new Map(ids.map((id) => [id, { n: 0, blocked: false }]));
      const foreign = new Set(ids.filter(() => random() < 0.5));
      let parked = 0;
      for (let number = 0; number < 60; number++) {
        const id = ids[Math.floor(random() * ids.length)] as string;
        const known = expected.get(id) as { n: number; blocked: boolean };
        const counts = random() < 0.7;
        expect(await bench.outcome(counts ? COUNT_UP : SET, { id, n: 100 + number })).toBe('JOURNALED');
        // What sets a value is made on the version that was there; what was made on what is parked is parked too.
        known.blocked ||= foreign.has(id) && !counts;
        if (known.blocked) parked += 1;
        else known.n = counts ? known.n + 1 : 100 + number;
      }
      for (const id of foreign) await bench.things.updateOne({ _id: id }, { $set: { name: `foreign ${id}` } });
      for (const id of foreign) {
        const write = { filter: { _id: id }, update: { $inc: { '_holdfast.version': 1 } } };
        await bench.things.updateOne(write.filter, write.update);
      }
      await bench.back();
      const found = await bench.things.find({}).sort({ _id: 1 }).toArray();
      const { conflicts } = await bench.journal();
      expect({ n: found.map(({ _id, n }) => [_id, n]), conflicts }).toEqual({
        n: [...expected].map(([id, { n }]) => [id, n]).sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
        conflicts: parked,
      });
      expect(found.filter(({ name }) => name !== undefined)).toHaveLength(foreign.size);
    });

    it('row 18: goes on with its replay after an outage in the middle of it', async () => {
      await using bench = await setUp(server());
      await bench.write(CREATE, { i: { id: 'a', n: 0 } });
      await bench.copied(1);
      bench.refuse();
      for (let number = 0; number < 30; number++) await bench.write(COUNT_UP, { id: 'a' });
      for (let outages = 0; outages < 3; outages++) {
        bench.proxy.set({ kind: 'DROP', commands: ['update'], times: 2 + outages });
        await eventually('some came through', async () => (await bench.journal()).waiting < 30 - 5 * outages, 20_000);
        bench.refuse();
      }
      await bench.restart();
      await bench.back();
      expect(await bench.things.findOne({ _id: 'a' })).toMatchObject({ n: 30 });
    });

    it('lists, replays and gives up entries by command', async () => {
      await using bench = await setUp(server());
      await bench.write(CREATE, { i: { id: 'a', n: 0 } });
      await bench.copied(1);
      bench.refuse();
      await bench.outcome(SET, { id: 'a', n: 5 });
      await bench.outcome(COUNT_UP, { id: 'a' });
      await bench.things.updateOne({ _id: 'a' }, { $inc: { '_holdfast.version': 1 } });
      const run = async (...args: string[]) => {
        const { code, stdout } = await runHoldfast(['journal', ...args, '--url', bench.opsUrl, '--json']);
        return { code, entries: [], ...(JSON.parse(stdout) as Record<string, unknown>) };
      };
      expect(await run('list')).toMatchObject({ code: 0, waiting: 2, entries: [{ id: '1', state: 'WAITING' }, {}] });
      await bench.back();
      const listed = await run('list', '--state', 'conflict');
      expect(listed).toMatchObject({ code: 3, conflicts: 2, entries: [{ reason: { code: 'CONFLICT' } }, { id: '2' }] });
      const conflict = (listed.entries as readonly { reason: { conflict: string } }[])[0]?.reason.conflict;
      const resolve = `mutation{conflictResolve(id:"${conflict}",resolution:APPLY){outcome}}`;
      expect(await ask(bench.opsUrl, resolve)).toEqual({ conflictResolve: { outcome: 'APPLIED' } });
      expect(await bench.things.findOne({ _id: 'a' })).toMatchObject({ n: 5 });
      expect(await run('list')).toMatchObject({ conflicts: 1 });
      expect(await run('replay', '2')).toMatchObject({ code: 0 });
      await bench.back();
      expect(await run('discard', '2')).toMatchObject({ code: 0, state: 'DISCARDED', document: '"a"' });
      expect(await run('list')).toMatchObject({ code: 0, conflicts: 0, waiting: 0 });
    });
  },
  { killable: true },
);
