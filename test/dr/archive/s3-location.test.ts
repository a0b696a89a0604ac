import { describe, expect, it } from 'vitest';
import { s3Error } from '../../../src/dr/archive/s3-errors.ts';
import { parseS3Location, s3LocationText } from '../../../src/dr/archive/s3-location.ts';

describe('the location of an archive in a bucket', () => {
  it.each([
    's3://bucket',
    's3://bucket/a/b',
    's3://bucket/a?region=eu-central-1',
    's3://bucket/a%20b?endpoint=http%3A%2F%2F127.0.0.1%3A7070',
    's3://bucket/a?endpoint=https%3A%2F%2Fs3.example&region=x&forcePathStyle=false',
  ])('%s reads and writes the same', (text) => {
    expect(s3LocationText(parseS3Location(text))).toBe(text);
  });

  it('has one bucket and one prefix, and paths rather than host names at another endpoint', () => {
    expect(parseS3Location('s3://bucket//a/b/?endpoint=http://localhost:9000')).toEqual({
      bucket: 'bucket',
      prefix: 'a/b',
      endpoint: 'http://localhost:9000',
      region: undefined,
      forcePathStyle: true,
    });
  });

  it.each([
    ['s3:///prefix', 'must read s3://bucket/prefix'],
    ['s3://AKIA:secret@bucket/x', 'holds credentials'],
    ['s3://bucket/x?endpont=http://a', 'has the parameter endpont'],
    ['s3://bucket/x?endpoint=http://key:secret@host', 'must name the endpoint'],
    ['s3://bucket/x?endpoint=ftp://host', 'must name the endpoint'],
  ])('%s is refused, without a secret in the message', (text, message) => {
    expect(() => parseS3Location(text)).toThrow(message);
    expect(() => parseS3Location(text)).not.toThrow('secret@');
  });
});

describe('an error of an S3 server', () => {
  it.each([
    [{ name: 'NoSuchKey' }, 'DR_NOT_FOUND'],
    [{ name: 'NoSuchBucket' }, 'DR_NOT_FOUND'],
    [{ name: 'PreconditionFailed', $metadata: { httpStatusCode: 412 } }, 'ALREADY_EXISTS'],
    [{ name: 'AccessDenied', $metadata: { httpStatusCode: 403 } }, 'DATA_UNWRITABLE'],
    [{ name: 'CredentialsProviderError', message: 'none' }, 'DATA_UNWRITABLE'],
    [{ name: 'Error', code: 'ECONNREFUSED' }, 'DATA_UNWRITABLE'],
    [{ name: 'InternalError', $metadata: { httpStatusCode: 500 } }, 'DATA_UNWRITABLE'],
    [{ name: 'XMinioStorageFull', $metadata: { httpStatusCode: 507 } }, 'DR_STORAGE_FULL'],
  ])('%j means %s', (failure, code) => {
    expect(s3Error('write x', Object.assign(new Error('no'), failure))).toMatchObject({ code });
  });
});
