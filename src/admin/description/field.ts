import { z } from 'zod';

/** What a number counts, where its name does not say it all: for the reference. */
export type Unit = 'bytes' | 'B/s' | 'count' | 'epoch' | 'ms' | 'seconds';

declare module 'zod' {
  interface GlobalMeta {
    unit?: Unit;
  }
}

/**
 * The kinds of field that answers have, each with the sentence that documents it. The reference, the OpenAPI file and the tests
 * that hold the API to them are made of these.
 */
export function bytes(description: string): z.ZodInt {
  return z.int().nonnegative().meta({ description, unit: 'bytes' });
}

export function bytesPerSecond(description: string): z.ZodNumber {
  return z.number().nonnegative().meta({ description, unit: 'B/s' });
}

export function count(description: string): z.ZodInt {
  return z.int().nonnegative().meta({ description, unit: 'count' });
}

/** Milliseconds since 1970-01-01 UTC. */
export function epochMs(description: string): z.ZodNumber {
  return z.number().nonnegative().meta({ description, unit: 'epoch' });
}

export function durationMs(description: string): z.ZodNumber {
  return z.number().nonnegative().meta({ description, unit: 'ms' });
}

export function ratio(description: string): z.ZodNumber {
  return z.number().min(0).max(1).describe(description);
}

export function text(description: string): z.ZodString {
  return z.string().describe(description);
}

export function digest(description: string): z.ZodString {
  return z
    .string()
    .regex(/^[a-z0-9]+:[a-f0-9]{32,}$/)
    .describe(description);
}

export function flag(description: string): z.ZodBoolean {
  return z.boolean().describe(description);
}

export function choice<const Values extends readonly [string, ...string[]]>(
  values: Values,
  description: string,
): z.ZodEnum<{ [Value in Values[number]]: Value }> {
  return z.enum(values).describe(description);
}

export function list<Item extends z.ZodType>(item: Item, description: string): z.ZodArray<Item> {
  return z.array(item).describe(description);
}
