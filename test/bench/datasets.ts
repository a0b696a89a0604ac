import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openDataset } from '../../src/fallback/dataset/open-dataset.ts';
import { type RefreshProgress, refreshDataset } from '../../src/fallback/dataset/refresh.ts';
import { KEY, PEOPLE, plantedSource, secretsOf } from '../support/planted.ts';
import { temporaryDirectory } from '../support/temporary.ts';

/** People; as many posts and desks again. */
const PEOPLE_COUNT = 33_334;
/** Planted values looked for one by one, besides all of them as whole values. */
const SEARCHED = 150;

/**
 * 100,000 documents with planted personal values: extracted, masked and checked, twice with the same key. It fails when a planted value is
 * found in the files by a search of its own, a key leads nowhere, or the two results differ.
 */
export async function run(): Promise<void> {
  await using memory = await plantedSource(PEOPLE_COUNT);
  await using directory = await temporaryDirectory();
  const budget = { documents: 1_000_000, bytes: 1e10 };
  const texts: string[] = [];
  for (const [turn, day] of [1, 2].entries()) {
    const marks = new Map<RefreshProgress['phase'], number>();
    const startedAt = performance.now();
    const cpu = process.cpuUsage();
    const made = await refreshDataset({
      ...{ source: memory.source, model: PEOPLE, key: KEY, out: directory.path, budget },
      now: () => Date.UTC(2026, 0, day),
      onProgress: ({ phase }) => marks.has(phase) || marks.set(phase, performance.now() - startedAt),
    });
    const { user, system } = process.cpuUsage(cpu);
    const collections = Object.entries(made.manifest.collections);
    print(`run ${turn + 1}: ${seconds(performance.now() - startedAt)} (processor ${seconds((user + system) / 1000)})`);
    print(
      `  ${collections.map(([name, { documents, dangling }]) => `${name} ${documents}, dangling ${dangling}`).join('; ')}`,
    );
    print(`  ${made.maskedValues} different values masked, ${Math.round(process.memoryUsage().rss / 1e6)} MB resident`);
    require(collections.every(([, { dangling, complete }]) => dangling === 0 && complete), 'a key leads nowhere');
    texts.push(collections.map(([, { file }]) => readFileSync(join(made.directory, file), 'utf8')).join(''));
    await using dataset = await openDataset(made.directory, { model: PEOPLE, key: KEY });
    const held = await dataset.store.collection('people').countDocuments({});
    require(held === PEOPLE_COUNT, 'a document is missing');
  }
  require(texts[0] === texts[1], 'the two results differ');
  print('twice the same result');
  search(texts[0] as string);
}

/** Looks for planted values without the code that masked them. */
function search(text: string): void {
  const lines = text.toLowerCase();
  const values = new Set(lines.match(/"(?:[^"\\]|\\.)*"/g));
  let looked = 0;
  for (let n = 0; n < PEOPLE_COUNT; n++) {
    for (const secret of Object.values(secretsOf(n))) {
      require(!values.has(JSON.stringify(secret.toLowerCase())), `"${secret}" survives`);
      looked += 1;
    }
  }
  for (let turn = 0; turn < SEARCHED; turn++) {
    const n = Math.floor((turn * PEOPLE_COUNT) / SEARCHED);
    for (const secret of Object.values(secretsOf(n)))
      require(!lines.includes(secret.toLowerCase()), `"${secret}" survives`);
  }
  print(`none of ${looked} planted values survives; ${SEARCHED * 6} of them looked for inside other text as well`);
}

function require(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
