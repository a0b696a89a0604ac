import { HoldfastError } from '../../errors.ts';

/** A place in a bucket, as `s3://BUCKET/PREFIX?endpoint=URL&region=NAME&forcePathStyle=true` names it. */
export interface S3Location {
  readonly bucket: string;
  /** Without `/` at its ends; it may be empty. */
  readonly prefix: string;
  /** For servers other than Amazon's; else the SDK's own chain decides. */
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
  readonly forcePathStyle: boolean;
}

const PARAMETERS = ['endpoint', 'region', 'forcePathStyle'];

/** Reads a location. Credentials are never part of it: they come from the environment, the profile or the machine. @throws CONFIG_INVALID */
export function parseS3Location(text: string): S3Location {
  const invalid = (what: string): HoldfastError => new HoldfastError('CONFIG_INVALID', `The s3:// location ${what}.`);
  const url = URL.parse(text);
  if (url === null || url.protocol !== 's3:' || url.hostname === '') throw invalid('must read s3://bucket/prefix');
  // Not repeated in the message: it is a secret.
  if (url.username !== '' || url.password !== '') {
    throw invalid(
      'holds credentials; give them by the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) or a profile',
    );
  }
  const unknown = [...url.searchParams.keys()].find((name) => !PARAMETERS.includes(name));
  if (unknown !== undefined) throw invalid(`has the parameter ${unknown}; it may have ${PARAMETERS.join(', ')}`);
  const endpoint = url.searchParams.get('endpoint') ?? undefined;
  if (endpoint !== undefined && !/^https?:\/\/[^@/]+\/?$/.test(endpoint)) {
    throw invalid('must name the endpoint as http(s)://host:port');
  }
  return {
    bucket: url.hostname,
    prefix: decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, ''),
    endpoint,
    region: url.searchParams.get('region') ?? undefined,
    // Servers under an address of their own seldom have a name for each bucket.
    forcePathStyle: url.searchParams.has('forcePathStyle')
      ? url.searchParams.get('forcePathStyle') === 'true'
      : endpoint !== undefined,
  };
}

/** The location as text, as {@link parseS3Location} reads it. */
export function s3LocationText({ bucket, prefix, endpoint, region, forcePathStyle }: S3Location): string {
  const parameters = new URLSearchParams();
  if (endpoint !== undefined) parameters.set('endpoint', endpoint);
  if (region !== undefined) parameters.set('region', region);
  if (forcePathStyle !== (endpoint !== undefined)) parameters.set('forcePathStyle', String(forcePathStyle));
  const path = prefix === '' ? '' : `/${prefix.split('/').map(encodeURIComponent).join('/')}`;
  return `s3://${bucket}${path}${parameters.size === 0 ? '' : `?${parameters}`}`;
}
