/** Look-ups under way at once: fewer than there are connections, so that others find a free one. */
const AT_ONCE = 16;

/** The results of `work` for each item, in their order; some at a time. */
export async function inTurns<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let next = 0; next < items.length; next += AT_ONCE) {
    results.push(...(await Promise.all(items.slice(next, next + AT_ONCE).map(work))));
  }
  return results;
}
