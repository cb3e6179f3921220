import { z } from 'zod';
import { openApiDocument } from '../src/admin/description/openapi-document.ts';
import type { Operation } from '../src/admin/description/operation.ts';
import { operations } from '../src/admin/description/operations.ts';
import { productVersion } from '../src/config/version.ts';
import { table } from './markdown.ts';

/** What docs/openapi.json holds. */
export function openApiText(): string {
  return JSON.stringify(openApiDocument(operations, productVersion()), undefined, 2);
}

/**
 * The page with its tables written anew. They stand between `<!-- fields of GET /path -->`, which also may say `parameters of` or
 * `body of`, and `<!-- end -->`.
 */
export function withTables(page: string): string {
  const places = /<!-- (fields|parameters|body) of (GET|POST|PUT|DELETE) (\S+) -->\n(?:.*\n)*?<!-- end -->/g;
  return page.replaceAll(places, (_, what: string, method: string, path: string) => {
    const operation = operations.find((known) => known.method === method && known.path === path);
    if (operation === undefined) throw new Error(`docs/API.md has a table of ${method} ${path}, which does not exist`);
    return [`<!-- ${what} of ${method} ${path} -->`, '', tableOf(what, operation), '', '<!-- end -->'].join('\n');
  });
}

function tableOf(what: string, { method, path, parameters, body, answers }: Operation): string {
  const asked = z.object({ ...parameters?.path?.shape, ...parameters?.query?.shape });
  const answer = Object.entries(answers).find(([status]) => status.startsWith('2'))?.[1].schema;
  const schema = what === 'parameters' ? asked : what === 'body' ? body : answer;
  if (schema === undefined) throw new Error(`${method} ${path} has no ${what}`);
  const name = what === 'parameters' ? 'Parameter' : 'Field';
  return table([name, 'Unit', 'Meaning'], what === 'fields' ? rowsOf(itemOf(schema), '') : rowsOf(schema, ''));
}

/** Of an answer that is a list by name, the item: what there is to say is said of it. */
function itemOf(schema: z.core.$ZodType): z.core.$ZodType {
  const fields = schema instanceof z.ZodObject ? Object.values(schema.shape) : [];
  const [only] = fields;
  if (only === undefined || fields.length > 1) return schema;
  const inner = bare(only);
  return inner instanceof z.ZodArray || inner instanceof z.ZodObject ? inner : schema;
}

function rowsOf(schema: z.core.$ZodType, prefix: string): string[][] {
  const inner = bare(schema);
  if (inner instanceof z.ZodArray) return rowsOf(inner.element, prefix);
  if (!(inner instanceof z.ZodObject)) return [];
  return Object.entries(inner.shape).flatMap(([name, field]: [string, z.core.$ZodType]) => {
    const { description = '', unit = '' } = metaOf(field);
    const isList = bare(field) instanceof z.ZodArray;
    // What has a section of its own is not told twice.
    if (prefix === '' && /^As (in )?`\/api/.test(description)) return [[`\`${name}\``, unit, description]];
    return [[`\`${prefix}${name}\``, unit, description], ...rowsOf(field, `${prefix}${name}${isList ? '[]' : ''}.`)];
  });
}

/** Without what says that it may be missing. */
function bare(schema: z.core.$ZodType): z.core.$ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable || schema instanceof z.ZodDefault)
    return bare(schema.def.innerType);
  return schema;
}

function metaOf(schema: z.core.$ZodType): z.core.GlobalMeta {
  const own = z.globalRegistry.get(schema) ?? {};
  const inner = bare(schema);
  return inner === schema ? own : { ...z.globalRegistry.get(inner), ...own };
}
