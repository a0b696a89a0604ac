import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { SqliteChangeLog } from '../../src/changelog/sqlite-change-log.ts';
import { ShapeRecorder } from '../../src/fallback/shapes.ts';
import { Database } from '../../src/sqlite/database.ts';
import { SqliteStore } from '../../src/store/sqlite-store.ts';
import { PEOPLE, planted } from '../support/planted.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { run } from './run.ts';

/** A directory with the schema, an embedded store of planted documents, and the command line over both. */
async function setUp() {
  const directory = await temporaryDirectory();
  const at = (name: string) => join(directory.path, name);
  const database = Database.open({ directory: at('data') });
  const log = await SqliteChangeLog.open(database);
  const collections = PEOPLE.entities.map(({ collection, indexes }) => ({ name: collection, indexes }));
  const store = await SqliteStore.open({ database, outbox: log, collections });
  const documents = [...planted(12)];
  for (const { name } of collections) {
    const own = documents.filter(({ collection }) => collection === name).map(({ document }) => document);
    await store.collection(name).insertMany(own);
  }
  await database.close();
  writeFileSync(at('people.graphql'), PEOPLE.sdl);
  const over = (...args: string[]) => run(...args, '--data', at('data'), '--schema', directory.path);
  return { run: over, at, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}

it('makes a dataset of the embedded store, then compares the two', async () => {
  await using bench = await setUp();
  const made = await bench.run('fallback', 'refresh', '--out', bench.at('datasets'), '--json');
  expect(made.code).toBe(0);
  expect(JSON.parse(made.stdout)).toMatchObject({
    manifest: { collections: { people: { documents: 12, complete: true } } },
  });

  const recorder = new ShapeRecorder();
  const asked = { collection: 'people', count: false, skip: 0 };
  recorder.record({ ...asked, filter: { mood: 'GLAD' } });
  recorder.record({ ...asked, filter: { email: 'ada@x.org' } });
  writeFileSync(join(bench.at('data'), 'query-shapes.json'), JSON.stringify(recorder.list()));
  const checked = await bench.run('fallback', 'check', '--datasets', bench.at('datasets'), '--json');
  expect(JSON.parse(checked.stdout)).toMatchObject({
    drifts: [{ collection: 'people', kind: 'UNKNOWN', path: 'unknownField', documents: 12 }],
    dataset: { problem: null },
    shares: [
      { tier: 'LIVE', yes: 1 },
      { tier: 'SNAPSHOT', yes: 0.5, perhaps: 0 },
    ],
  });
  expect(checked.code).toBe(3);
});

it('takes the ids that are asked for', async () => {
  await using bench = await setUp();
  writeFileSync(bench.at('ids.json'), '{"Desk": ["d7", "not there"]}');
  const args = ['--out', bench.at('datasets'), '--documents', '8', '--ids', bench.at('ids.json'), '--json'];
  const { code, stdout } = await bench.run('fallback', 'refresh', ...args);
  expect(code).toBe(0);
  const { directory } = JSON.parse(stdout) as { directory: string };
  expect(readFileSync(join(directory, 'desks.jsonl'), 'utf8')).toContain('"_id":"d7"');
  writeFileSync(bench.at('ids.json'), '{"Chair": []}');
  expect(await bench.run('fallback', 'refresh', ...args)).toMatchObject({ code: 2 });
});

it.each([
  [['--from', 'redis://x'], 'is no database'],
  [['--documents', 'many'], 'fallback.datasets.documents'],
  [['--url', 'http://127.0.0.1:1', '--from', 'sqlite:x'], 'leave --from away'],
])('refuses `fallback refresh %j`', async (args, message) => {
  await using bench = await setUp();
  const { code, stderr } = await bench.run('fallback', 'refresh', '--out', bench.at('datasets'), ...args);
  expect(code).toBe(2);
  expect(stderr).toContain(message);
});

it.each([
  [['--drill', 'sulk', '--store', 'mongodb://127.0.0.1/x'], '--drill takes refuse, hang-before'],
  [['--drill', 'delay:-1', '--store', 'mongodb://127.0.0.1/x'], 'takes a whole number'],
  [['--drill', 'drop', '--store', 'mongodb://127.0.0.1/x', '--for', '99999'], '--for takes a whole number up to 3600'],
  [['--drill', 'drop'], '--store mongodb://'],
])('refuses `doctor %j`', async (args, message) => {
  await using bench = await setUp();
  const { code, stderr } = await bench.run('doctor', ...args);
  expect(code).toBe(2);
  expect(stderr).toContain(message);
});

it('ends a drill by itself', async () => {
  await using bench = await setUp();
  const args = ['--drill', 'hang-before', '--store', 'mongodb://127.0.0.1:1/school', '--for', '0', '--json'];
  const { code, stdout, stderr } = await bench.run('doctor', ...args);
  expect(code).toBe(0);
  expect(stderr).toContain('DRILL for 0 s');
  expect(JSON.parse(stdout)).toMatchObject({
    fault: { kind: 'HANG_BEFORE' },
    hits: 0,
    url: expect.stringMatching(/^mongodb:\/\/127\.0\.0\.1:\d+\/school\?directConnection=true$/),
  });
});
