import type { Terminal } from './terminal.ts';

/** Where a process serves: the data API, and the ops port. */
export interface Addresses {
  /** e.g. `http://127.0.0.1:4000/graphql` */
  readonly url: string;
  /** e.g. `http://127.0.0.1:4001` */
  readonly opsUrl: string;
}

/** The addresses of a running gateway. */
export function addressesOf({ url, opsUrl }: { readonly url: string; readonly opsUrl: string }): Addresses {
  return { url, opsUrl: new URL(opsUrl).origin };
}

/** Writes the ready line that scripts wait for. */
export function announce({ url, opsUrl }: Addresses, terminal: Terminal): void {
  terminal.result({ ready: true, url, opsUrl }, `ready ${url} ops ${opsUrl}`);
}
