import { z } from 'zod';
import { type AnswerDescription, errors, type Operation } from './operation.ts';

export type OpenApiDocument = Readonly<Record<string, unknown>> & {
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
};

type Json = Record<string, unknown>;

const schemaPrefix = '#/components/schemas/';

/** The operations as OpenAPI 3.1. Schemas that have an id stand once, under `components`. */
export function openApiDocument(operations: readonly Operation[], version: string): OpenApiDocument {
  const components = new Map<string, Json>();
  const paths: Record<string, Json> = {};
  for (const operation of operations) {
    const path = operation.path.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [operation.method.toLowerCase()]: operationObject(operation, components) };
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'onepull admin API',
      version,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      description:
        'Sizes are bytes; names that end in AtMs are milliseconds since the epoch. Fields may be added; none changes its meaning within a major version. See docs/API.md.',
    },
    paths,
    components: {
      schemas: Object.fromEntries([...components].toSorted(([one], [other]) => (one < other ? -1 : 1))),
      securitySchemes: {
        adminToken: { type: 'http', scheme: 'bearer', description: 'Where `adminToken` or `adminTokenFile` is set.' },
      },
    },
  };
}

function operationObject(operation: Operation, components: Map<string, Json>): Json {
  const { method, summary, description, parameters, body, answers } = operation;
  const isChange = method !== 'GET';
  const asked = [...parametersOf('path', parameters?.path), ...parametersOf('query', parameters?.query)];
  const all: Operation['answers'] = { ...(isChange ? changeRefusals : {}), ...answers };
  return {
    operationId: operationId(operation),
    summary,
    ...(description === undefined ? {} : { description }),
    ...(asked.length === 0 ? {} : { parameters: asked }),
    // Either the token or nothing: whether there is one is the operator's choice.
    ...(isChange ? { security: [{ adminToken: [] }, {}] } : {}),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: !body.safeParse(undefined).success,
            content: { 'application/json': { schema: schemaOf(body, 'input', components) } },
          },
        }),
    responses: Object.fromEntries([
      ...Object.entries(all).map(([status, answer]) => [status, answerObject(answer, components)]),
      ['default', answerObject({ description: 'It went wrong.', schema: errors }, components)],
    ]),
  };
}

const changeRefusals: Operation['answers'] = {
  400: { description: 'The request is not right.', schema: errors },
  401: { description: 'The token is missing, or another one.', schema: errors },
  403: { description: 'It comes from a page of another origin.', schema: errors },
  413: { description: 'Its body is larger than 64 KiB.', schema: errors },
  415: { description: 'It has not `content-type: application/json`.', schema: errors },
};

/** `GET /api/v1/preheats/:id` is `getPreheatsById`. */
function operationId({ method, path }: Operation): string {
  const words = path
    .replace(/^\/api\/v1/, '')
    .replace(/\.\w+$/, '')
    .split('/')
    .filter((word) => word !== '')
    .map((word) => (word.startsWith(':') ? `By${capitalised(word.slice(1))}` : capitalised(word)));
  return method.toLowerCase() + words.join('');
}

function capitalised(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function parametersOf(place: 'path' | 'query', schema: z.ZodObject | undefined): Json[] {
  return Object.entries(schema?.shape ?? {}).map(([name, field]) => {
    const { description, ...rest } = schemaOf(field, 'input', new Map());
    const required = place === 'path' || !z.safeParse(field, undefined).success;
    return { name, in: place, required, ...(description === undefined ? {} : { description }), schema: rest };
  });
}

function answerObject({ description, schema, contentType }: AnswerDescription, components: Map<string, Json>): Json {
  if (schema === undefined && contentType === undefined) return { description };
  const content = schema === undefined ? {} : { schema: schemaOf(schema, 'output', components) };
  return { description, content: { [contentType ?? 'application/json']: content } };
}

function schemaOf(schema: z.core.$ZodType, io: 'input' | 'output', components: Map<string, Json>): Json {
  const made = z.toJSONSchema(schema, {
    target: 'draft-2020-12',
    io,
    reused: 'inline',
    override: ({ jsonSchema }) => tidy(jsonSchema, io),
  });
  const {
    $schema,
    $defs = {},
    ...whole
  }: Json = JSON.parse(JSON.stringify(made).replaceAll('"#/$defs/', `"${schemaPrefix}`));
  for (const [name, component] of Object.entries($defs as Record<string, Json>))
    components.set(name, withoutId(component));
  if (typeof whole.id !== 'string') return whole;
  components.set(whole.id, withoutId(whole));
  return { $ref: schemaPrefix + whole.id };
}

function withoutId({ id: _, ...schema }: Json): Json {
  return schema;
}

/** Fields may be added to answers, so that whoever reads them has to bear others; and units are a word of ours. */
function tidy(schema: Json, io: 'input' | 'output'): void {
  if (io === 'output' && schema.additionalProperties === false) delete schema.additionalProperties;
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  if (schema.unit === undefined) return;
  schema['x-unit'] = schema.unit;
  delete schema.unit;
}
