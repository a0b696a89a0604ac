import type { JournalDraft } from '../../src/fallback/journal-entry.ts';

let keys = 0;

/** An insert for the journal, under a key of its own. */
export function journalDraft(id: string, more: Partial<JournalDraft> = {}): JournalDraft {
  const text = JSON.stringify({ _id: id });
  return {
    ...{ key: `key-${keys++}`, digest: 'd', collection: 'things', id: JSON.stringify(id), method: 'insertOne' },
    ...{ argument: text, baseVersion: null, after: null, strict: false, base: null, image: text },
    ...{ principal: 'ada', epoch: 1, sdlHash: 'h', at: 1_000, ...more },
  };
}
