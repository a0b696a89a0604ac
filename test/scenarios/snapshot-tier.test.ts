import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { post } from '../support/graphql.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { nodes } from '../support/nodes.ts';
import { describeWith } from '../support/servers/describe-with.ts';
import { startMongo } from '../support/servers/mongo.ts';

const SDL = `
  type Person @entity {
    id: ID! @id
    name: String! @sanitize(with: NAME)
    email: EmailAddress @unique @sanitize(with: EMAIL)
    age: Int @index
    desk: Desk @relation(field: "deskId")
    deskId: ID
  }
  type Desk @entity @fallback(lists: SAMPLE, masked: SHOW) { id: ID! @id  room: String @sanitize(with: NONE)  owner: String }
  type Note @entity @fallback(masked: SHOW) { id: ID! @id  text: String  n: Int }
`;
const PEOPLE = 12;

describeWith(
  'mongodb',
  'A primary without a live copy',
  () => {
    it('answers from the newest masked snapshot when its database is killed, says so, and refuses what that cannot know', async () => {
      await using mongo = await startMongo();
      await using cluster = await nodes(SDL);
      const primary = await cluster.primary('primary', {
        HOLDFAST_STORE_URL: mongo.urlOf('snapshots'),
        HOLDFAST_FALLBACK_TIERS: 'SNAPSHOT',
        HOLDFAST_FALLBACK_DATASETS_DIR: `${cluster.path}/datasets`,
        // A part of everything.
        HOLDFAST_FALLBACK_DATASETS_DOCUMENTS: '20',
      });
      await primary.ready;
      const ids = Array.from({ length: PEOPLE }, (_, n) => n);
      const inputs = {
        people: ids.map((n) => ({ id: `p${n}`, name: `Grete ${n}`, email: `g${n}@corp.io`, age: n, deskId: `d${n}` })),
        desks: ids.map((n) => ({ id: `d${n}`, room: `room ${n}`, owner: `Grete ${n}` })),
        notes: ids.map((n) => ({ id: `n${n}`, text: 'secret', n })),
      };
      const written = await post(
        primary.url,
        `mutation($people: [CreatePersonInput!]!, $desks: [CreateDeskInput!]!, $notes: [CreateNoteInput!]!) {
          createDesks(inputs: $desks) { written } createPeople(inputs: $people) { written } createNotes(inputs: $notes) { written }
        }`,
        inputs,
      );
      expect(written.errors).toBeUndefined();

      const refreshed = await runHoldfast(['fallback', 'refresh', '--url', primary.opsUrl, '--json']);
      expect(refreshed.code, refreshed.stderr).toBe(0);
      const read = async (query: string, headers: Record<string, string> = {}) => {
        const { data, errors, extensions } = await post(primary.url, query, {}, headers);
        return { data, error: errors?.[0]?.extensions, holdfast: extensions?.holdfast };
      };
      const known = await eventually('it is in use', async () => {
        await runHoldfast(['fallback', 'force', '--url', primary.opsUrl]);
        const found = await Promise.all(ids.map((n) => read(`{ person(id: "p${n}") { id } }`)));
        await runHoldfast(['fallback', 'release', '--url', primary.opsUrl]);
        return found.findIndex(({ data, error }) => data?.person !== null && error === undefined) + 1;
      });
      await mongo.kill();

      const id = `p${known - 1}`;
      const person = await read(`{ person(id: "${id}") { id age deskId } }`);
      expect(person.data?.person).toEqual({ id, age: known - 1, deskId: `d${known - 1}` });
      expect(person.holdfast).toMatchObject({ source: 'SNAPSHOT', degraded: true, position: null });
      expect(person.holdfast?.stalenessMs).toBeGreaterThan(0);
      // What is personal is not there, and not made up unless the schema says so.
      const masked = await read(`{ person(id: "${id}") { id email } }`);
      expect(masked.data?.person).toEqual({ id, email: null });
      expect(masked.holdfast?.fields).toContainEqual(
        expect.objectContaining({ entity: 'Person', field: 'email', source: 'MASKED' }),
      );
      expect((await read(`{ person(id: "${id}") { name } }`)).error).toMatchObject({ code: 'FALLBACK_MASKED' });
      // Nobody knows what else there is.
      for (const query of [
        '{ people { id } }',
        '{ peopleCount }',
        '{ people(where: {age: {gt: 3}}) { id } }',
        '{ person(id: "nobody") { id } }',
      ]) {
        expect((await read(query)).error, query).toMatchObject({ code: 'FALLBACK_COVERAGE_UNKNOWN' });
      }
      expect((await read('{ people(where: {name: {eq: "Grete 1"}}) { id } }')).error).toMatchObject({
        code: 'FALLBACK_UNSUPPORTED',
      });
      expect((await read(`{ person(id: "${id}") { id } }`, { 'holdfast-max-staleness-ms': '0' })).error).toMatchObject({
        code: 'STALE_READ',
      });
      // Unless a sample will do.
      const desks = await read('{ desks { id room owner } }');
      expect(desks.error).toBeUndefined();
      expect(desks.data?.desks).toContainEqual(
        expect.objectContaining({ id: `d${known - 1}`, room: `room ${known - 1}` }),
      );
      expect(JSON.stringify(desks.data)).not.toContain('Grete');
      const write = await post(primary.url, 'mutation { deleteDesk(id: "d1") { outcome } }');
      expect(write.errors?.[0]?.extensions).toMatchObject({ code: 'DATABASE_UNAVAILABLE', retryAfterMs: 1_000 });

      await mongo.restart();
      await eventually(
        'the database answers',
        async () => (await read('{ peopleCount }')).data?.peopleCount === PEOPLE,
        20_000,
      );
    });
  },
  { killable: true },
);
