import type { DataService, RequestContext } from '../service/data-service.ts';
import type { RelationLoaders } from './loaders.ts';

/** What the generated resolvers share while one GraphQL operation is answered. */
export interface Operation {
  readonly service: DataService;
  readonly request: RequestContext;
  /** Documents of relations, batched and remembered for this operation. */
  readonly loaders: RelationLoaders;
}
