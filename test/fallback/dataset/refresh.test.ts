import { spawnSync } from 'node:child_process';
import { createSecretKey } from 'node:crypto';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { refreshDataset } from '../../../src/fallback/dataset/refresh.ts';
import type { Document } from '../../../src/model/document.ts';
import { parseExtendedJson } from '../../../src/model/extended-json.ts';
import { filesOf, KEY, PEOPLE, plantedSource, secretsOf } from '../../support/planted.ts';
import { temporaryDirectory } from '../../support/temporary.ts';

const COUNT = 300;
const WHOLE = { documents: 10_000 };

async function refresh(options: Partial<Parameters<typeof refreshDataset>[0]> = {}, count = COUNT) {
  await using directory = await temporaryDirectory();
  await using memory = await plantedSource(count);
  const base = { source: memory.source, model: PEOPLE, key: KEY, out: directory.path, budget: WHOLE };
  const made = await refreshDataset({ ...base, ...options });
  const files = filesOf(made.directory, made.manifest);
  const documents = new Map(
    [...files].map(([name, text]) => [
      name,
      text
        .trimEnd()
        .split('\n')
        .filter(Boolean)
        .map((line) => parseExtendedJson(line)),
    ]),
  );
  return { ...made, files, documents, left: readdirSync(made.directory).sort() };
}

function all(documents: Map<string, Document[]>, collection: string): Document[] {
  return documents.get(collection) ?? [];
}

/** `npm run bench -- datasets` looks for those of 100,000 documents. */
it('row 21: lets no planted value survive, also inside other text and in fields without a rule', async () => {
  const { files, manifest } = await refresh();
  const text = [...files.values()].join('').toLowerCase();
  for (let n = 0; n < COUNT; n++) {
    for (const secret of Object.values(secretsOf(n))) expect(text).not.toContain(secret.toLowerCase());
  }
  expect(text).not.toContain('penicillin');
  expect(text).not.toContain('unknownfield');
  expect(manifest.collections.people).toMatchObject({
    ...{ complete: true, documents: COUNT, dangling: 0, refused: 0, exempt: ['home.city'] },
    masked: [
      'name',
      'email',
      'phone',
      'bornOn',
      'salary',
      'notes',
      'home.street',
      'home.at.latitude',
      'home.at.longitude',
      'tags',
    ],
  });
});

it('keeps joins over masked keys, uniqueness, ids, enums and what is exempt', async () => {
  const { documents } = await refresh();
  const people = all(documents, 'people');
  const emails = new Map(people.map(({ email, _id }) => [email, _id]));
  expect(emails.size).toBe(COUNT);
  for (const { _id, authorEmail } of all(documents, 'posts')) {
    expect(emails.get(authorEmail)).toBe(String(_id).replace('o', 'p'));
  }
  expect(people[7]).toMatchObject({ _id: expect.stringMatching(/^p\d+$/), home: { city: 'Ankh-Morpork' } });
  expect(people.every(({ email }) => /@example\.(com|net|org)$/.test(String(email)))).toBe(true);
  expect(people.every(({ phone }) => /^\+99 9/.test(String(phone)))).toBe(true);
});

it('gives the same files from the same key, and others from another', async () => {
  const [first, second] = [await refresh(), await refresh()];
  expect(second.files).toEqual(first.files);
  const other = await refresh({ key: createSecretKey(Buffer.alloc(32, 8)) });
  expect(other.files.get('people')).not.toBe(first.files.get('people'));
});

it('takes a closed sample with every value of an enum', async () => {
  const { documents, manifest } = await refresh({ budget: { documents: 120 } });
  const ids = new Set(all(documents, 'people').map(({ _id }) => _id));
  const emails = new Set(all(documents, 'people').map(({ email }) => email));
  for (const { bestId, friendIds } of all(documents, 'people')) {
    for (const id of [bestId, ...(friendIds as unknown[])]) expect(ids).toContain(id);
  }
  for (const { authorEmail } of all(documents, 'posts')) expect(emails).toContain(authorEmail);
  for (const { personId } of all(documents, 'desks')) expect(ids).toContain(personId);
  expect(new Set(all(documents, 'people').map(({ mood }) => mood))).toEqual(new Set(['GLAD', 'SAD', 'ODD']));
  expect(manifest.collections.posts).toMatchObject({ complete: false, dangling: 0 });
  expect(all(documents, 'posts').length).toBeLessThan(COUNT);
});

it('leaves nothing of what it put aside, and keeps three', async () => {
  await using directory = await temporaryDirectory();
  await using memory = await plantedSource(20);
  const base = { source: memory.source, model: PEOPLE, key: KEY, out: directory.path, budget: WHOLE };
  for (let n = 0; n < 5; n++) await refreshDataset({ ...base, now: () => Date.UTC(2026, 0, 1 + n) });
  expect(readdirSync(directory.path).sort()).toEqual([3, 4, 5].map((day) => `2026-01-0${day}T00-00-00.000Z`));
  expect(readdirSync(`${directory.path}/2026-01-05T00-00-00.000Z`).sort()).toEqual([
    ...['desks.jsonl', 'manifest.json', 'people.jsonl', 'posts.jsonl'],
  ]);
});

it('removes what a killed refresh left behind, and nothing that a running one makes', async () => {
  await using directory = await temporaryDirectory();
  await using memory = await plantedSource(5);
  const { pid } = spawnSync(process.execPath, ['--version']);
  for (const owner of [pid, process.ppid]) mkdirSync(join(directory.path, `.draft-${owner}-2026-01-01T00-00-00.000Z`));
  const now = () => Date.UTC(2026, 0, 2);
  await refreshDataset({ source: memory.source, model: PEOPLE, key: KEY, out: directory.path, now });
  expect(readdirSync(directory.path).sort()).toEqual([
    `.draft-${process.ppid}-2026-01-01T00-00-00.000Z`,
    '2026-01-02T00-00-00.000Z',
  ]);
});

it('row 18: ends with its signal in the middle and leaves nothing, and what was there stays', async () => {
  await using directory = await temporaryDirectory();
  await using memory = await plantedSource(200);
  const base = { source: memory.source, model: PEOPLE, key: KEY, out: directory.path, budget: WHOLE };
  await refreshDataset({ ...base, now: () => Date.UTC(2026, 0, 1) });
  for (const phase of ['read', 'mask', 'check']) {
    const controller = new AbortController();
    const onProgress = (progress: { readonly phase: string }) => {
      if (progress.phase === phase) controller.abort(new Error(`enough of ${phase}`));
    };
    await expect(refreshDataset({ ...base, signal: controller.signal, onProgress })).rejects.toThrow(
      `enough of ${phase}`,
    );
    expect(readdirSync(directory.path)).toEqual(['2026-01-01T00-00-00.000Z']);
  }
});
