/** A kind of server, with a database that is restored over and over. */
export interface Subject extends AsyncDisposable {
  readonly server: { kill(): Promise<void>; restart(): Promise<void> };
  /** URL of the database. */
  readonly source: string;
  /** A new empty database; returns its URL. */
  createEmpty(): Promise<string>;
  /** A new database with everything that the source has but its contents; returns its URL. */
  createLive(): Promise<string>;
  imageOf(url: string): Promise<Image>;
}

/** Everything in a database that can be told from outside, in lines by group: two are equal when nothing can tell them apart. */
export type Image = ReadonlyMap<string, readonly string[]>;
