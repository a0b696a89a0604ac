import { describe, expect, it } from 'vitest';
import { Sources } from '../../src/fallback/provenance.ts';

const NOW = Date.parse('2026-01-01T00:00:10.000Z');
const HEAD = { epoch: 1, sequence: 9 };

describe('Sources', () => {
  it('says nothing while only the database answered', () => {
    const sources = new Sources();
    sources.addDatabase('Teacher');
    expect(sources.summary(NOW, HEAD)).toBeUndefined();
  });

  it('tells one source with its oldest age, and no fields', () => {
    const sources = new Sources();
    sources.add({ source: 'LIVE', entity: 'Teacher', stalenessMs: 1_000, position: HEAD });
    sources.add({ source: 'LIVE', entity: 'School', stalenessMs: 2_000.4, position: { epoch: 1, sequence: 8 } });
    expect(sources.summary(NOW, HEAD)).toEqual({
      source: 'LIVE',
      asOf: '2026-01-01T00:00:07.999Z',
      stalenessMs: 2_000,
      position: { epoch: 1, sequence: 8 },
    });
  });

  it('tells each source when there are several', () => {
    const sources = new Sources();
    sources.addDatabase('Teacher');
    sources.add({ source: 'DATASET', entity: 'School', stalenessMs: 5_000, position: null });
    expect(sources.summary(NOW, HEAD)).toMatchObject({
      source: 'MIXED',
      stalenessMs: 5_000,
      position: null,
      fields: [
        { entity: 'Teacher', source: 'DATABASE', stalenessMs: 0 },
        { entity: 'School', source: 'DATASET', asOf: '2026-01-01T00:00:05.000Z' },
      ],
    });
  });

  it('names masked fields, also of one source', () => {
    const sources = new Sources();
    sources.add({ source: 'SNAPSHOT', entity: 'Teacher', stalenessMs: 0, position: null, masked: ['name'] });
    expect(sources.summary(NOW, HEAD)).toMatchObject({
      source: 'SNAPSHOT',
      fields: [{ entity: 'Teacher', field: 'name', source: 'MASKED' }],
    });
  });

  it('calls what is not in the database yet mixed', () => {
    const sources = new Sources();
    sources.add({ source: 'JOURNAL', entity: 'Teacher', stalenessMs: 0, position: null });
    expect(sources.summary(NOW, HEAD)?.source).toBe('MIXED');
  });
});
