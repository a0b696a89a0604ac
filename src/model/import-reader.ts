import { createReadStream } from 'node:fs';
import { isHoldfastError } from '../errors.ts';
import { type JsonPiece, JsonSplitter } from '../util/json-splitter.ts';
import { type Document, MAX_DOCUMENT_BYTES } from './document.ts';
import { parseExtendedJson } from './extended-json.ts';

/** A document of a file, or why there is none at this place. */
export interface ReadDocument {
  /** Line on which it starts, from 1. Elements of an array may share one. */
  readonly line: number;
  /** Place among the documents of the file, from 0, the refused ones counted. */
  readonly index: number;
  readonly document?: Document;
  readonly error?: string;
}

/**
 * Streams the documents of a file of JSON Lines, of one JSON array, or of JSON objects one after the other; plain or MongoDB
 * extended JSON. Whatever the size of the file, memory holds one chunk and one document. What is no document is yielded with
 * an error, and the next one follows: malformed, larger than 16 MiB, not UTF-8, cut off.
 * @throws the file system's error when the file cannot be read
 */
export async function* readDocuments(
  source: string | AsyncIterable<Uint8Array>,
): AsyncGenerator<ReadDocument, void, undefined> {
  const splitter = new JsonSplitter(MAX_DOCUMENT_BYTES);
  let index = 0;
  const chunks = typeof source === 'string' ? createReadStream(source, { highWaterMark: 256 * 1024 }) : source;
  for await (const chunk of chunks) {
    for (const piece of splitter.push(chunk)) yield read(piece, index++);
  }
  for (const piece of splitter.end()) yield read(piece, index++);
}

function read({ line, text, error, last }: JsonPiece, index: number): ReadDocument {
  if (text === undefined) return { line, index, error: error ?? '' };
  try {
    return { line, index, document: parseExtendedJson(text) };
  } catch (cause) {
    if (!isHoldfastError(cause)) throw cause;
    const cutOff = last === true && cause.cause instanceof SyntaxError;
    return { line, index, error: cutOff ? `${cause.message}; the file may be cut off here` : cause.message };
  }
}
