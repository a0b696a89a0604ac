import { NOT_OF_EXTENSION, PROGRESS_SCHEMA } from './postgres-catalog.ts';

/** What the export does not write: by catalog, the condition under which an object `o` of it is of users. */
const LISTED: readonly (readonly [catalog: string, condition?: string])[] = [
  ['pg_foreign_data_wrapper'],
  ['pg_foreign_server'],
  ['pg_class', `o.relkind = 'f'`],
  ['pg_event_trigger'],
  ['pg_publication'],
  ['pg_subscription', `o.subdbid = (SELECT b.oid FROM pg_database b WHERE b.datname = current_database())`],
  ['pg_cast'],
  ['pg_conversion'],
  ['pg_operator'],
  ['pg_opclass'],
  ['pg_opfamily'],
  ['pg_ts_config'],
  ['pg_ts_dict'],
  ['pg_ts_parser'],
  ['pg_ts_template'],
  ['pg_language'],
  ['pg_transform'],
  ['pg_am'],
  // Types with functions of their own, types that are only names, ranges with a function that makes values canonical.
  ['pg_type', `o.typtype = 'b' AND o.typcategory <> 'A' OR o.typtype = 'p' AND NOT o.typisdefined`],
  ['pg_type', `EXISTS (SELECT FROM pg_range r WHERE r.rngtypid = o.oid AND r.rngcanonical::oid <> 0)`],
];
/** Of a schema that is not the user's, such as that of temporary tables, or made by another object, such as the cast of a range. */
const NOT_OF_USER = `EXISTS (SELECT FROM pg_depend t LEFT JOIN pg_namespace n ON n.oid = t.refobjid AND t.refclassid = 'pg_namespace'::regclass
  WHERE t.classid = '%c'::regclass AND t.objid = o.oid AND (t.deptype = 'i' OR n.nspname ~ '^pg_' OR n.nspname = '${PROGRESS_SCHEMA}'))`;

/** Lists what the export cannot write: `key` as in ExportRow, `name` for people. Unlike the rest it must not overlook anything. */
export const UNSUPPORTED = [
  ...LISTED.map(
    ([
      catalog,
      condition = 'true',
    ]) => `SELECT '${catalog}'::regclass::oid || ':' || o.oid AS key, concat(i.type, ' ', i.identity) AS name
FROM ${catalog} o, pg_identify_object('${catalog}'::regclass, o.oid, 0) i
WHERE o.oid >= 16384 AND (${condition}) AND ${NOT_OF_EXTENSION(catalog, 'o.oid')} AND NOT ${NOT_OF_USER.replace('%c', catalog)}`,
  ),
  // Made together with a foreign table or a server, and gone with it.
  `SELECT 'mapping:' || m.umid, format('user mapping for %I on server %I', m.usename, m.srvname) FROM pg_user_mappings m`,
  `SELECT concat_ws(':', 'label', l.objoid, l.objsubid), concat('security label on ', i.type, ' ', i.identity)
FROM pg_seclabel l, pg_identify_object(l.classoid, l.objoid, l.objsubid) i`,
].join('\nUNION ALL ');
