import { HoldfastError } from '../errors.ts';
import { type Document, type DocumentText, decodeDocument, encodeValue } from '../model/document.ts';
import type { Made } from './journal-call.ts';
import { claimsOf, type JournalView, type Seen } from './journal-view.ts';

export interface JournalChecksOptions {
  readonly view: JournalView;
  readonly uniquePaths: (collection: string) => readonly string[];
  /** Refuses documents that the database could not store. @throws VALIDATION_FAILED */
  readonly check?: ((document: Document, text: DocumentText) => void) | undefined;
}

/** What the database would refuse, as far as it can be known without it. */
export class JournalChecks {
  readonly #options: JournalChecksOptions;

  constructor(options: JournalChecksOptions) {
    this.#options = options;
  }

  /** @throws VALIDATION_FAILED */
  requireText(document: Document, text: DocumentText): void {
    this.#options.check?.(document, text);
  }

  /** A document as a write leaves it: it can be stored, keeps its `_id`, and takes no value of another. `inCall`: what the same call claims; added to. */
  async requireStorable(collection: string, { place, id }: Seen, { image }: Made, inCall: Set<string>): Promise<void> {
    if (image === null) return;
    const document = decodeDocument(image);
    if (encodeValue(document._id) !== id) {
      throw new HoldfastError(
        'VALIDATION_FAILED',
        `the _id of a document cannot be changed (${id} of "${collection}")`,
      );
    }
    this.requireText(document, image);
    await this.requireUnique(collection, place, document, inCall);
  }

  /** As far as it can be known here; the replay finds what cannot. @throws ALREADY_EXISTS */
  async requireUnique(collection: string, place: string, document: Document, inCall: Set<string>): Promise<void> {
    const paths = this.#options.uniquePaths(collection);
    const ofCall = paths.find((path) => claimsOf(collection, document, [path]).some((claim) => inCall.has(claim)));
    const taken = ofCall ?? (await this.#options.view.takenPath(collection, place, document));
    if (taken === undefined) {
      for (const claim of claimsOf(collection, document, paths)) inCall.add(claim);
      return;
    }
    const message = `another document of "${collection}" has the same ${taken}`;
    throw new HoldfastError('ALREADY_EXISTS', message, { details: { fields: [taken] } });
  }
}
