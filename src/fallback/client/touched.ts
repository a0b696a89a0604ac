import type { Document } from '../../model/document.ts';
import type { Stamped } from '../../store/mongo-stamp.ts';
import { isDocument } from '../../store/value.ts';
import { storedForm } from './values.ts';

/** Documents that a write is about, by their ids as a store has them. */
export class Touched {
  readonly #ids: unknown[] = [];
  /** Whether it may be about others as well. */
  isOpen = false;
  /** Whether anything was sent. */
  isSent = false;
  /** Documents that were inserted with what captures them. */
  stamped: Stamped | undefined;

  add(ids: readonly unknown[]): void {
    for (const id of ids) {
      if (id === undefined) this.isOpen = true;
      else this.#ids.push(storedForm({ id }, {}).id);
    }
  }

  /** Undefined: not known. */
  get ids(): readonly unknown[] | undefined {
    return this.isOpen ? undefined : this.#ids;
  }
}

/** The ids of which a filter takes one or some, whatever else it asks; undefined when it does not name them. */
export function idsNamed(filter: unknown): readonly unknown[] | undefined {
  const { _id } = (filter ?? {}) as Document;
  if (_id === undefined || _id === null || _id instanceof RegExp) return undefined;
  if (Array.isArray(_id)) return undefined;
  if (!isDocument(_id)) return [_id];
  const operators = Object.keys(_id);
  if (!operators.some((name) => name.startsWith('$'))) return [_id];
  if ('$eq' in _id) return [_id.$eq];
  return Array.isArray(_id.$in) && !_id.$in.some((id) => id instanceof RegExp) ? _id.$in : undefined;
}

/** The filter for one of these documents only, or for some. It names none as an equality, which an upsert would insert. */
export function pinned(filter: unknown, ids: readonly unknown[]): Document {
  const { $and = [], ...rest } = (filter ?? {}) as Document;
  const [id, ...others] = ids;
  const pin = others.length === 0 ? { $gte: id, $lte: id } : { $in: ids };
  return { ...rest, $and: [...($and as Document[]), { _id: pin }] };
}
