import { graphql } from 'graphql';
import { describe, expect, it } from 'vitest';
import { buildFallbackSchema } from '../../resolvers/fallback.ts';
import { Fallback } from '../../src/fallback/fallback.ts';
import type { Tier } from '../../src/fallback/tiers.ts';
import { loadModel } from '../../src/model/load.ts';
import { fallbackService } from '../../src/service/fallback-service.ts';

const MODEL = loadModel([{ file: 'schema.graphql', text: 'type Thing @entity { id: ID! @id }' }]);
const TIER = {
  source: 'LIVE',
  coverage: () => 'WHOLE',
  stalenessMs: () => Number.POSITIVE_INFINITY,
  position: () => null,
} as unknown as Tier;

const IDLE = {
  running: false,
  startedAt: null,
  lastError: null,
  capturedAt: '2026-01-01T00:00:00.000Z',
  documents: 60,
};
const KEEPER = { status: () => IDLE, start: () => ({ ...IDLE, running: true, startedAt: '2026-01-02T00:00:00.000Z' }) };

function setUp() {
  const rules = () =>
    ({ entity: 'Thing', uniquePaths: [], requiredPaths: [], lists: 'REFUSE', masked: 'NULL' }) as const;
  const fallback = new Fallback({ tiers: [TIER], rules });
  const schema = buildFallbackSchema(fallbackService(fallback, MODEL, KEEPER));
  const ask = async (source: string) => {
    const { data, errors } = await graphql({ schema, source });
    return errors === undefined
      ? { ...data }
      : { code: (errors[0]?.originalError as { code?: string } | undefined)?.code };
  };
  return { fallback, ask, [Symbol.dispose]: () => fallback.stop() };
}

describe('the fallback schema', () => {
  it('forces and releases scopes, and tells of them', async () => {
    using bench = setUp();
    const forced = await bench.ask(
      'mutation { fallbackForce(scope: "things:READ") { state scopes { scope forced } } }',
    );
    expect(forced).toEqual({
      fallbackForce: {
        state: 'PARTLY',
        scopes: [
          { scope: 'database', forced: null },
          { scope: 'things:READ', forced: 'OPEN' },
        ],
      },
    });
    const released = await bench.ask('mutation { fallbackRelease(scope: "things:READ") { state scopes { scope } } }');
    expect(released).toEqual({ fallbackRelease: { state: 'CLOSED', scopes: [{ scope: 'database' }] } });
    expect(await bench.ask('mutation { fallbackForce { state } }')).toEqual({ fallbackForce: { state: 'OPEN' } });
  });

  it('begins a dataset and tells how it goes, also where nothing answers in place of the database', async () => {
    const schema = buildFallbackSchema(fallbackService(undefined, MODEL, KEEPER));
    const fields = '{ running startedAt lastError capturedAt documents }';
    const started = await graphql({ schema, source: `mutation { fallbackRefresh ${fields} }` });
    expect(JSON.parse(JSON.stringify(started.data))).toEqual({ fallbackRefresh: KEEPER.start() });
    const idle = await graphql({ schema, source: `{ fallbackStatus { state } fallbackDatasets ${fields} }` });
    expect(JSON.parse(JSON.stringify(idle.data))).toEqual({ fallbackStatus: null, fallbackDatasets: IDLE });
    const forced = await graphql({ schema, source: 'mutation { fallbackForce { state } }' });
    expect(forced.errors?.[0]?.originalError).toMatchObject({ code: 'UNSUPPORTED_OPERATOR' });
  });

  it('tells of outages and tiers', async () => {
    using bench = setUp();
    bench.fallback.lost('it hangs');
    const status = await bench.ask(`{ fallbackStatus {
      tiers { source collections { collection coverage stalenessMs } }
      incidents { id startedAt detectedMs endedAt cause scopes reads { LIVE } writesRefused }
    } }`);
    expect(status).toMatchObject({
      fallbackStatus: {
        tiers: [{ source: 'LIVE', collections: [{ collection: 'things', coverage: 'WHOLE', stalenessMs: null }] }],
        incidents: [
          { id: '1', detectedMs: 0, endedAt: null, cause: 'it hangs', scopes: ['database'], reads: { LIVE: 0 } },
        ],
      },
    });
  });

  it.each(['thing', 'things:DELETE', ':READ', ''])('refuses the scope "%s"', async (scope) => {
    using bench = setUp();
    expect(await bench.ask(`mutation { fallbackForce(scope: "${scope}") { state } }`)).toEqual({
      code: 'VALIDATION_FAILED',
    });
  });

  it('has nothing to tell where nothing answers in place of the database', async () => {
    const schema = buildFallbackSchema(undefined);
    expect((await graphql({ schema, source: '{ fallbackStatus { state } }' })).data).toEqual({ fallbackStatus: null });
    const { errors } = await graphql({ schema, source: 'mutation { fallbackRelease { state } }' });
    expect(errors?.[0]?.originalError).toMatchObject({ code: 'UNSUPPORTED_OPERATOR' });
  });
});
