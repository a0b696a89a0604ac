import { encodeValue } from '../model/document.ts';

/** Whether two values would be stored as the same text: equal in type too, and documents in the order of their fields. */
export function identical(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (a === undefined || b === undefined || typeof a === 'string' || typeof b === 'string') return false;
  return encodeValue(a) === encodeValue(b);
}
