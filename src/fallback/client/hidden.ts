import type { Document } from '../../model/document.ts';
import { METADATA } from '../../store/mongo-document.ts';

/** What a capture leaves in documents, kept from who reads them through the client. */
const HIDE: Document = { [METADATA]: 0 };
const ALIVE: Document = { [`${METADATA}.deleted`]: { $ne: true } };

/** Stages that must be first, or do not give documents. */
const ORIGINS =
  /^\$(geoNear|search|searchMeta|vectorSearch|rankFusion|documents|collStats|indexStats|planCacheStats|changeStream)/;
/** Stages that give whole documents on, and may use indexes when nothing is before them. */
const FIRST = /^\$(match|sort|skip|limit|sample|geoNear|search|vectorSearch)$/;
/** Stages that join documents of other collections, under a name. */
const JOINS = ['$lookup', '$graphLookup'] as const;

/** A filter that meets no document that is being deleted. */
export function alive(filter: unknown): Document {
  return { ...(filter as Document | undefined), ...ALIVE };
}

/** How documents come without metadata: by the projection, or out of an answer. */
export interface Hiding {
  /** Undefined: the one given. */
  readonly projection?: Document | undefined;
  /** Whether it is to be taken out of the documents that come. */
  readonly strips: boolean;
}

/** Servers do not agree on what goes together with operators in a projection, so such a one stays as it is. */
export function hiding(projection: unknown): Hiding {
  const shown = Object.entries((projection ?? {}) as Document);
  if (shown.some(([, value]) => typeof value === 'object' && value !== null)) return { strips: true };
  const isInclusion = shown.some(([path, value]) => Boolean(value) && (path !== '_id' || shown.length === 1));
  if (isInclusion) return { strips: false };
  return { projection: { ...(projection as Document | undefined), ...HIDE }, strips: false };
}

/** A pipeline that sees no metadata, and no document that is being deleted. */
export function hiddenPipeline(pipeline: readonly Document[]): Document[] {
  const [first] = pipeline;
  const origin = first === undefined ? undefined : Object.keys(first)[0];
  if (origin !== undefined && /Stats$|^\$(documents|changeStream|searchMeta)/.test(origin)) return [...pipeline];
  const rest =
    origin === '$match'
      ? [{ $match: alive(first?.$match) }, ...pipeline.slice(1)]
      : origin !== undefined && ORIGINS.test(origin)
        ? [...pipeline]
        : [{ $match: ALIVE }, ...pipeline];
  const at = rest.findIndex((stage) => !FIRST.test(Object.keys(stage)[0] ?? ''));
  const head = at < 0 ? rest : rest.slice(0, at);
  const tail = at < 0 ? [] : rest.slice(at);
  return [...head, { $project: HIDE }, ...tail.flatMap(hidingJoined)];
}

function hidingJoined(stage: Document): Document[] {
  for (const join of JOINS) {
    const { as } = (stage[join] ?? {}) as Document;
    if (typeof as === 'string') return [stage, { $project: { [`${as}.${METADATA}`]: 0 } }];
  }
  return '$unionWith' in stage ? [stage, { $project: HIDE }] : [stage];
}

/** The document without the metadata; it is changed. */
export function stripped<T>(document: T): T {
  if (typeof document === 'object' && document !== null && METADATA in document) {
    delete (document as Document)[METADATA];
  }
  return document;
}
