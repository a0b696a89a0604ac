/** One at a time, in the order of asking. Holding it keeps the applier still: the documents are those of one position. */
export class Lock {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `work` when everybody before is done; resolves or rejects as it does. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work, work);
    this.#last = mine;
    return mine;
  }
}
