/** JSON of a plain value in one spelling only: keys in the order of their UTF-16 units, no spaces. Equal values give equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(sorted(value));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  const names = Object.keys(value).sort() as (keyof typeof value)[];
  // fromEntries defines the properties: `__proto__` is a name like any other.
  return Object.fromEntries(names.map((name) => [name, sorted(value[name])]));
}
