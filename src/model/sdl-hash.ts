import { hash } from 'node:crypto';
import { type DefinitionNode, type DocumentNode, type Token, TokenKind } from 'graphql';

/**
 * Digest of what an SDL says, 32 hexadecimal digits: the same for any layout, comments, descriptions and order of definitions.
 * Primary and replica compare it. The document must have been parsed with locations.
 */
export function sdlHash(document: DocumentNode): string {
  return hash('sha256', document.definitions.map(tokensOf).sort().join('\n'), 'hex').slice(0, 32);
}

/** The definition's tokens, without comments and descriptions. */
function tokensOf({ loc }: DefinitionNode): string {
  const texts: string[] = [];
  let previous: TokenKind | undefined;
  let brackets = 0;
  for (let token: Token | null = loc?.startToken ?? null; token !== null; token = token.next) {
    const { kind, value } = token;
    if (kind === TokenKind.BRACKET_L) brackets++;
    else if (kind === TokenKind.BRACKET_R) brackets--;
    if (kind === TokenKind.STRING || kind === TokenKind.BLOCK_STRING) {
      // A string is a value in a list, after a colon or after an equals sign; everywhere else it describes what follows.
      if (brackets > 0 || previous === TokenKind.COLON || previous === TokenKind.EQUALS)
        texts.push(JSON.stringify(value));
    } else if (kind !== TokenKind.COMMENT) texts.push(value ?? kind);
    if (kind !== TokenKind.COMMENT) previous = kind;
    if (token === loc?.endToken) break;
  }
  return texts.join(' ');
}
