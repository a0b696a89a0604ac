import { expect, it } from 'vitest';
import { inReadingOrder } from '../../../src/dr/dialect/mariadb-view-order.ts';

it.each<[string, Record<string, string>, string]>([
  ['by their names where none reads another', { a: 'select 1', b: 'select `d`.`t`.`x` from `d`.`t`' }, 'a b'],
  [
    'behind those that they read',
    { a: 'select `b`.`x` from `d`.`b`', b: 'select `c`.`x` from `d`.`c`', c: '' },
    'c b a',
  ],
  ['whatever their aliases are', { a: 'select `b`.`x` from `d`.`b`', b: 'select `a`.`x` from `d`.`t` `a`' }, 'b a'],
  ['whatever their texts say', { a: "select '`d`.`b`', 'it''s \\' `d`.`b`'", b: 'select 1' }, 'a b'],
  ['whatever other databases hold', { a: 'select `x` from `e`.`b`', b: 'select 1' }, 'a b'],
  ['with names to be quoted', { a: "select 1 from `d`.`b``'s`", "b`s's": '', "b`'s": '' }, "b`'s a b`s's"],
  ['somehow where they read each other through routines', { a: 'select `d`.`b`()', b: 'select `d`.`a`()' }, 'b a'],
])('orders views %s', (_, views, order) => {
  const definitions = Object.entries(views).map(([name, definition]) => ({ name, definition }));
  expect(inReadingOrder(definitions, 'd').join(' ')).toBe(order);
});
