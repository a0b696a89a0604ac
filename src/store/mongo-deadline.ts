/** What one document more adds to the deadline of a command, in ms. */
export const DOCUMENT_MS = 10;

/**
 * What `work` gives, unless `ms` pass first. The work is not called off: a write that was sent may still happen.
 * @throws a TimeoutError (DOMException)
 */
export async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DOMException(`no answer within ${Math.round(ms)} ms`, 'TimeoutError')), ms);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
    // An answer that comes too late is nobody's.
    work.catch(() => {});
  }
}
