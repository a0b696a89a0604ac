import type { Model } from '../model/entity.ts';
import type { DataService, RequestContext } from '../service/data-service.ts';
import { RelationLoaders } from './loaders.ts';
import type { Operation } from './operation.ts';

/** The context value of the data schema: what resolvers get as their third argument. */
export type ApiContext = Operation;

/** A fresh context for one GraphQL operation. */
export function createApiContext(service: DataService, request: RequestContext, _model: Model): ApiContext {
  return { service, request, loaders: new RelationLoaders(service, request) };
}
