import { describe, expect, it } from 'vitest';
import { splitCreateTable } from '../../../src/dr/dialect/mariadb-create-table.ts';
import { unqualified } from '../../../src/dr/dialect/mariadb-objects.ts';

const PRINTED = `CREATE TABLE \`odd (\`\`t\` (
  \`id\` int(11) NOT NULL AUTO_INCREMENT,
  \`n\` int(11) NOT NULL DEFAULT 0 COMMENT 'it''s AUTO_INCREMENT, ) KEY \`x\` (\`y\`)',
  \`g\` varchar(5) GENERATED ALWAYS AS (concat('a',\`n\`,',
)')) STORED,
  PRIMARY KEY (\`n\`),
  UNIQUE KEY \`u\` (\`g\`),
  KEY \`by,id\` (\`id\`),
  KEY \`plain\` (\`n\`,\`g\`),
  FULLTEXT KEY \`words\` (\`g\`),
  CONSTRAINT \`refers\` FOREIGN KEY (\`n\`) REFERENCES \`p\` (\`id\`) ON DELETE CASCADE,
  CONSTRAINT \`c\` CHECK (\`n\` > 0)
) ENGINE=InnoDB COMMENT='(a, b)'
 PARTITION BY HASH (\`n\`)
PARTITIONS 4`;

describe('a printed CREATE TABLE', () => {
  it('is taken apart into what is created before the rows and after them', () => {
    const { statement, indexes, foreignKeys } = splitCreateTable(PRINTED, false);
    expect(indexes).toEqual([
      { name: 'u', isFulltext: false, clause: 'ADD UNIQUE KEY `u` (`g`)' },
      { name: 'plain', isFulltext: false, clause: 'ADD KEY `plain` (`n`,`g`)' },
      { name: 'words', isFulltext: true, clause: 'ADD FULLTEXT KEY `words` (`g`)' },
    ]);
    expect(foreignKeys).toEqual([
      { name: 'refers', clause: 'ADD CONSTRAINT `refers` FOREIGN KEY (`n`) REFERENCES `p` (`id`) ON DELETE CASCADE' },
    ]);
    const without = ['UNIQUE KEY', 'KEY `plain`', 'FULLTEXT', 'CONSTRAINT `refers`'];
    expect(statement.split('\n')).toEqual(
      PRINTED.split('\n').filter((line) => !without.some((begin) => line.startsWith(`  ${begin}`))),
    );
  });

  it('keeps its indexes when it is told to', () => {
    const { statement, indexes } = splitCreateTable(PRINTED, true);
    expect(indexes).toEqual([]);
    expect(statement).toContain('FULLTEXT KEY');
  });
});

describe('a printed statement', () => {
  it('loses the name of its own database, but not in strings or as the name of something else', () => {
    const printed =
      "select `db`.`t`.`c`, `db`(`db`.`f`(1)), ' `db`.`t` it''s', `other`.`db`.`x`, `x`.`db`, `db`.`column` from `db`.`t`";
    const names = new Set(['`t`', '`f`', '`x`']);
    expect(unqualified(printed, 'db', names)).toBe(
      "select `t`.`c`, `db`(`f`(1)), ' `db`.`t` it''s', `other`.`db`.`x`, `x`.`db`, `db`.`column` from `t`",
    );
  });
});
