import { readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { MemoryStore } from '../../../src/fallback/dataset/open-dataset.ts';
import { refreshDataset } from '../../../src/fallback/dataset/refresh.ts';
import type { Document } from '../../../src/model/document.ts';
import { loadModel } from '../../../src/model/load.ts';
import { KEY } from '../../support/planted.ts';
import { temporaryDirectory } from '../../support/temporary.ts';

const MODEL = loadModel([
  {
    file: 'test.graphql',
    text: `type Person @entity {
      id: ID! @id  name: String @sanitize(with: NAME)  age: Int!  note: String @sanitize(with: NONE)
      bossId: ID  boss: Person @relation(field: "bossId")
    }`,
  },
]);

async function refresh(documents: readonly Document[]) {
  await using directory = await temporaryDirectory();
  await using memory = await MemoryStore.open(MODEL);
  await memory.add('people', documents);
  try {
    const made = await refreshDataset({ source: memory.store, model: MODEL, key: KEY, out: directory.path });
    return { ...made.manifest.collections.people, error: undefined, left: readdirSync(directory.path) };
  } catch (error) {
    return { error: error as Error, left: readdirSync(directory.path) };
  }
}

it.each([
  ['is a name', 'Grete Samsa', 'Grete Samsa'],
  ['holds a name', 'user-grete samsa-7', 'Grete Samsa'],
  ['holds a short name', 'anna-17', 'Anna'],
])('throws a dataset away when an id that is kept %s', async (_what, _id, name) => {
  const { error, left } = await refresh([{ _id, name, age: 1 }]);
  expect(error).toMatchObject({ code: 'DATASET_LEAK', details: { fields: ['Person._id'] } });
  expect(error?.message).not.toContain(name);
  expect(left).toEqual([]);
});

it('takes no chance for a leak: digits that happen to be in an id', async () => {
  const { error } = await refresh([{ _id: '018f-8001-7abc', name: '8001', age: 1 }]);
  expect(error).toBeUndefined();
});

it('keeps what is exempt, and lists it', async () => {
  const made = await refresh([{ _id: 'p1', name: 'Grete', age: 1, note: 'Grete was here' }]);
  expect(made).toMatchObject({ error: undefined, exempt: ['note'], masked: ['name'] });
});

it('leaves out documents that do not fit the schema, counts them and the keys that lead to them, and is not complete', async () => {
  const made = await refresh([
    { _id: 'p1', name: 'Grete', age: 'old' },
    { _id: 'p2', name: 'Gregor', age: 3, bossId: 'p1' },
    { _id: 'p3', name: 4, age: 3, bossId: 'nobody' },
  ]);
  expect(made).toMatchObject({ documents: 2, refused: 1, dangling: 2, complete: false });
});
