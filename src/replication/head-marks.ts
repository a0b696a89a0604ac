/** Marks kept; when they are full the older half is thinned out. */
const MAX_MARKS = 2_048;

/** Until `sequence` the head had come by `at`, in ms of a monotonic clock. */
interface Mark {
  readonly sequence: number;
  readonly at: number;
}

/**
 * When the head of a log passed which sequence, so that "how long has this position been behind" is a time and not a guess
 * from rates or foreign clocks. Bounded: of two old marks that are joined the earlier time stays, so an answer may be too
 * early by the distance of two marks, never too late.
 */
export class HeadMarks {
  /** Ascending. The first stands for everything before this process looked. */
  #marks: Mark[];

  constructor(sequence: number, at: number) {
    this.#marks = [{ sequence, at }];
  }

  /** The head is `sequence` now. One that is lower than before begins a new history. */
  add(sequence: number, at: number): void {
    const last = this.#marks.at(-1) as Mark;
    if (sequence < last.sequence) this.#marks = [{ sequence, at }];
    else if (sequence > last.sequence) this.#marks.push({ sequence, at });
    if (this.#marks.length > MAX_MARKS) this.#thin();
  }

  /** When the head first was past `sequence`; for a head that is not past it yet, the time of the last mark. */
  passedAt(sequence: number): number {
    let low = 0;
    let high = this.#marks.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#marks[middle] as Mark).sequence > sequence) high = middle;
      else low = middle + 1;
    }
    return (this.#marks[low] as Mark).at;
  }

  #thin(): void {
    const half = MAX_MARKS / 2;
    const thinned: Mark[] = [];
    for (let i = 0; i + 1 < half; i += 2) {
      const { at } = this.#marks[i] as Mark;
      const { sequence } = this.#marks[i + 1] as Mark;
      thinned.push({ sequence, at });
    }
    this.#marks = [...thinned, ...this.#marks.slice(half)];
  }
}
