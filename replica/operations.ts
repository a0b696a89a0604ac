/** The sync API's operations as a replica sends them; `schema/sync.graphql` is the schema they are checked against. */
export const OPERATIONS = {
  hello: `query Hello($cursor: String, $shape: SyncShape, $epochs: [SyncEpochInput!]) {
    syncHello(cursor: $cursor, shape: $shape, epochs: $epochs) {
      status logId epoch head floor cursor epochs { epoch firstSequence } sdl sdlHash
    }
  }`,
  changes: `subscription Changes($cursor: String!, $shape: SyncShape, $maxBatch: Int, $maxBytes: Int) {
    syncChanges(cursor: $cursor, shape: $shape, maxBatch: $maxBatch, maxBytes: $maxBytes) {
      epoch from to head floor previous chain cursor checksum body digests { collection count sum }
    }
  }`,
  snapshot: `query Snapshot($collection: String!, $after: String, $limit: Int) {
    syncSnapshot(collection: $collection, after: $after, limit: $limit) { rows { id version text } next position }
  }`,
  digests: `query Digests($at: Position) {
    syncDigests(at: $at) { position digests { collection count sum } }
  }`,
  buckets: `query Buckets($collection: String!, $at: Position) {
    syncBuckets(collection: $collection, at: $at) { collection position buckets }
  }`,
  bucketRows: `query BucketRows($collection: String!, $bucket: Int!) {
    syncBucketRows(collection: $collection, bucket: $bucket) { position rows { id version hash } }
  }`,
  rows: `query Rows($collection: String!, $ids: [String!]!) {
    syncRows(collection: $collection, ids: $ids) { id version text }
  }`,
  chain: `query Chain($sequences: [SafeInt!]!) { syncChain(sequences: $sequences) }`,
  tokens: `subscription Tokens {
    syncTokens { id name hash roles createdAt expiresAt revokedAt }
  }`,
  ack: `mutation Ack($ack: SyncAckInput!) { syncAck(ack: $ack) }`,
} as const;
