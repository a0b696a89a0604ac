/** The only shape of a name within an archive: parts of lower-case letters, digits, `.`, `_` and `-`, none of which begins with a dot. */
const NAME = /^[a-z0-9][a-z0-9._-]*(?:\/[a-z0-9][a-z0-9._-]*)*$/;
const MAX_LENGTH = 200;

/** Whether `name` can be a file of an archive: relative, with `/`, never leading out of it, the same on every file system. */
export function isFileName(name: string): boolean {
  return name.length <= MAX_LENGTH && NAME.test(name);
}

/** Guards a storage against names it was never meant to see. @throws TypeError */
export function assertFileName(name: string): void {
  if (!isFileName(name)) throw new TypeError(`${JSON.stringify(name)} is no name of a file in an archive`);
}
