import type { Document } from '../../model/document.ts';
import { encodeValue } from '../../model/document.ts';
import type { Entity, Model } from '../../model/entity.ts';

/** One way from the documents of an entity to those of another, as a relation of the schema says. */
export interface Link {
  readonly owner: Entity;
  readonly ownerPath: string;
  readonly target: Entity;
  readonly targetPath: string;
  /** A key leads to at most one document: it belongs to whoever holds the key. Else it leads to a list, of which some will do. */
  readonly single: boolean;
  /** The key is in the owner: no document for it is a gap. Else the target holds it, and there may be none. */
  readonly forward: boolean;
}

/** The ways from each entity, by its name, in the order of the schema. */
export function linksOf({ entities }: Model): Map<string, Link[]> {
  const byName = new Map(entities.map((entity) => [entity.name, entity]));
  return new Map(
    entities.map((owner) => {
      const links = owner.fields.flatMap(({ relation }) => {
        const target = relation && byName.get(relation.target);
        if (relation === undefined || target === undefined) return [];
        const { ownerPath, targetPath } = relation;
        const single = isUnique(target, targetPath);
        // Where both are unique the key is the one that is not the id.
        const forward = single && (targetPath === '_id' || ownerPath !== '_id');
        return [{ owner, ownerPath, target, targetPath, single, forward }];
      });
      return [owner.name, links];
    }),
  );
}

function isUnique({ fields }: Entity, path: string): boolean {
  return path === '_id' || fields.some(({ storedName, unique }) => storedName === path && unique);
}

/** The keys that a document has at a path, each with its text; null is none. */
export function keysAt(document: Document, path: string): [text: string, value: unknown][] {
  const value = Object.hasOwn(document, path) ? document[path] : undefined;
  const values = Array.isArray(value) ? value : [value];
  return values.filter((each) => each !== undefined && each !== null).map((each) => [encodeValue(each), each]);
}
