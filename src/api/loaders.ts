import DataLoader from 'dataloader';
import { type Document, encodeValue } from '../model/document.ts';
import type { Entity, Relation } from '../model/entity.ts';
import type { DataService, RequestContext } from '../service/data-service.ts';
import type { Filter, FindOptions } from '../store/store.ts';

/** Which documents of a relation are wanted for each key. */
export interface RelatedQuery {
  readonly filter: Filter;
  readonly options: FindOptions;
}

type Loader = DataLoader<unknown, Document[], string>;

/**
 * Documents of relations for one operation. Whatever is asked for in one turn of the event loop, with the same arguments of
 * the same relation, is one call of the service: one for each level of a query, however many documents the level has.
 */
export class RelationLoaders {
  readonly #service: DataService;
  readonly #request: RequestContext;
  readonly #loaders = new Map<string, Loader>();

  constructor(service: DataService, request: RequestContext) {
    this.#service = service;
    this.#request = request;
  }

  /**
   * The documents of `target` whose `relation.targetPath` is `key`. `variant` names the arguments: queries of one relation with
   * the same variant are equal, and `query` is asked for once.
   */
  load(
    relation: Relation,
    target: Entity,
    key: unknown,
    variant: string,
    query: () => RelatedQuery | Promise<RelatedQuery>,
  ): Promise<Document[]> {
    const name = `${relation.target}.${relation.targetPath} ${variant}`;
    let loader = this.#loaders.get(name);
    if (loader === undefined) {
      let asked: RelatedQuery | Promise<RelatedQuery> | undefined;
      loader = new DataLoader<unknown, Document[], string>(
        async (keys) => {
          asked ??= query();
          const { filter, options } = await asked;
          return this.#service.findGrouped(target, relation.targetPath, keys, filter, options, this.#request);
        },
        { cacheKeyFn: keyText },
      );
      this.#loaders.set(name, loader);
    }
    return loader.load(key);
  }

  /** Forgets what was read: a mutation has written since. */
  clear(): void {
    this.#loaders.clear();
  }
}

/** Equal keys, equal texts. Most keys are strings: they are not encoded. */
export function keyText(key: unknown): string {
  return typeof key === 'string' ? `s${key}` : `v${encodeValue(key)}`;
}
