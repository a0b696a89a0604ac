import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { Journal } from '../../../src/fallback/journal.ts';
import type { JournalDraft } from '../../../src/fallback/journal-entry.ts';
import { temporaryDirectory } from '../../support/temporary.ts';
import { median } from '../table.ts';

/** How long each is measured, in ms. */
const SPAN_MS = 500;
const ROUNDS = 5;

/** Durable entries per second with `atOnce` writers, and beside them lines that a program appends to a file and syncs one by one. */
export interface JournalSpeed {
  readonly atOnce: number;
  readonly journal: number;
  readonly syncedLines: number;
}

/** Medians of rounds in which journal and file take turns on the same disk. */
export async function journalSpeed(atOnce: number): Promise<JournalSpeed> {
  const journal: number[] = [];
  const syncedLines: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    await using directory = await temporaryDirectory();
    await using opened = await Journal.open({ directory: directory.path });
    const appended = await perSecond(atOnce, (n) => opened.append([draft(n)]).durable);
    const file = await open(join(directory.path, 'lines'), 'a');
    const lines = await perSecond(1, async (n) => {
      await file.write(`${JSON.stringify(draft(n))}\n`);
      await file.datasync();
    });
    await file.close();
    if (round === 0) continue;
    journal.push(appended);
    syncedLines.push(lines);
  }
  return { atOnce, journal: median(journal), syncedLines: median(syncedLines) };
}

async function perSecond(atOnce: number, work: (n: number) => Promise<void>): Promise<number> {
  let next = 0;
  const since = performance.now();
  const writer = async (): Promise<void> => {
    while (performance.now() - since < SPAN_MS) await work(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, writer));
  return (next * 1_000) / (performance.now() - since);
}

function draft(n: number): JournalDraft {
  const document = JSON.stringify({ _id: `document ${n}`, name: `thing ${n}`, size: n % 50, tags: ['a', 'b'] });
  return {
    ...{ key: n.toString(16).padStart(32, '0'), digest: '0'.repeat(32), collection: 'things', id: `"document ${n}"` },
    ...{ method: 'insertOne', argument: document, baseVersion: null, after: null, strict: false, base: null },
    ...{ image: document, principal: 'somebody', epoch: 1, sdlHash: '0'.repeat(32), at: 1_700_000_000_000 + n },
  };
}
