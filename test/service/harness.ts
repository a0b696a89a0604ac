import { SqliteChangeLog } from '../../src/changelog/sqlite-change-log.ts';
import type { Entity } from '../../src/model/entity.ts';
import { loadModel } from '../../src/model/load.ts';
import type { RequestContext, WriteContext } from '../../src/service/data-service.ts';
import { PrimaryService } from '../../src/service/primary.ts';
import { Database } from '../../src/sqlite/database.ts';
import { SqliteStore } from '../../src/store/sqlite-store.ts';

const SDL = `
type Thing @entity { id: ID! @id  name: String @unique  n: Int }
type Token @entity { id: ObjectID! @id  name: String }
type Step @entity { id: Int! @id  name: String }
`;

/** A primary's service over a store in memory. */
export interface Harness extends AsyncDisposable {
  readonly service: PrimaryService;
  readonly database: Database;
  readonly store: SqliteStore;
  readonly log: SqliteChangeLog;
  entity(name: 'Thing' | 'Token' | 'Step'): Entity;
}

export async function primaryHarness(): Promise<Harness> {
  const model = loadModel([{ file: 'things.graphql', text: SDL }]);
  const database = Database.open({ directory: ':memory:' });
  const log = await SqliteChangeLog.open(database);
  const collections = model.entities.map(({ collection, indexes }) => ({ name: collection, indexes }));
  const store = await SqliteStore.open({ database, outbox: log, collections });
  return {
    ...{ database, store, log, service: new PrimaryService({ store, log }) },
    entity: (name) => model.entities.find((entity) => entity.name === name) as Entity,
    [Symbol.asyncDispose]: () => database.close(),
  };
}

export function reading(more: Partial<RequestContext> = {}): RequestContext {
  return { principal: 'anonymous', signal: new AbortController().signal, ...more };
}

export function writing(field: string, more: Partial<WriteContext> = {}): WriteContext {
  return { ...reading(), field, argumentsDigest: 'a'.repeat(32), ...more };
}
