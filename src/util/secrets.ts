/** The value of a setting as it may be shown: passwords and tokens, also those inside URLs, are replaced by `***`. */
export function maskSecrets(name: string, value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  if (/token|secret|password/i.test(name)) return '***';
  return text
    .replace(/(\/\/[^/@:\s]*:)[^\s"]+@/g, '$1***@')
    .replace(/([?&][^=&\s]*(?:token|secret|password)[^=&\s]*=)[^&\s"]+/gi, '$1***');
}
