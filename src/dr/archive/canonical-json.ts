/** JSON of a plain value in one spelling only: keys in the order of their UTF-16 units, no spaces. Equal values give equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(sorted(value));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  // fromEntries defines the properties: `__proto__` is a name like any other.
  return Object.fromEntries(entries.map(([name, inner]) => [name, sorted(inner)]));
}
