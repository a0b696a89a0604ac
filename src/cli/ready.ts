import type { Terminal } from './terminal.ts';

/** Writes the ready line that scripts wait for. */
export function announce({ url, opsUrl }: { readonly url: string; readonly opsUrl: string }, terminal: Terminal): void {
  terminal.result({ ready: true, url, opsUrl }, `ready ${url} ops ${opsUrl}`);
}
