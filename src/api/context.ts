import type { Model } from '../model/entity.ts';
import type { DataService, RequestContext } from '../service/data-service.ts';
import { type Db, dbOf } from './db.ts';
import { RelationLoaders } from './loaders.ts';
import type { Operation } from './operation.ts';

/** The context value of the data schema: what resolvers, generated and hand-written, get as their third argument. */
export interface ApiContext extends Operation {
  /** The entities, for hand-written resolvers: `context.db.teachers.find({ where: … })`. */
  readonly db: Db;
}

/** Options of {@link createApiContext}. */
export interface ApiContextOptions {
  /** Sets timestamps of writes through `db`. Default: the machine's clock. */
  readonly clock?: (() => Date) | undefined;
}

/** A fresh context for one GraphQL operation. */
export function createApiContext(
  service: DataService,
  request: RequestContext,
  model: Model,
  { clock = () => new Date() }: ApiContextOptions = {},
): ApiContext {
  let db: Db | undefined;
  return {
    service,
    request,
    loaders: new RelationLoaders(service, request),
    get db() {
      db ??= dbOf(model, this, clock);
      return db;
    },
  };
}
