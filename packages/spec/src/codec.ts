// Building blocks of every codec: io-ts types with Go's reading rules (contract stage0 10.3) - keys match in
// any case, the last duplicate wins, unknown keys are dropped, null leaves the default - and Go's "omit when
// empty" on writing. The only file that shows fp-ts (through io-ts). Pure; runs in every process.

import { printable } from '@rkt/diagnostics/quote';
import { appendContext, failure, success, Type } from 'io-ts';
import type { Context, Decoder, Validation } from 'io-ts';

import { refuse, SpecError } from './errors.ts';

export { SpecError } from './errors.ts';

/** An io-ts type that reads any JSON value and writes one. */
export type Codec<A> = Type<A, unknown>;

/** The reading half of a {@link Codec}. */
export type Reader<A> = Decoder<unknown, A>;

/**
 * The decoded `value`.
 *
 * @param where What is being read, e.g. `image manifest`; starts the message, followed by the path inside it.
 * @throws SpecError `bad-manifest` with the first complaint.
 */
export function decodeOrThrow<A>(codec: Reader<A>, value: unknown, where: string): A {
  const result = codec.decode(value);
  if (result._tag === 'Right') return result.right;
  const [first] = result.left;
  const place = [where, pathOf(first?.context ?? [])].filter((part) => part !== '').join(': ');
  const message = first?.message ?? `not a valid ${codec.name}`;
  throw new SpecError('bad-manifest', place === '' ? message : `${place}: ${message}`);
}

/** A string that `parse` accepts; what it returns is the value, what it throws is the complaint. */
export function scalar<A extends string = string>(name: string, parse: (text: string) => A): Codec<A> {
  const validate = (input: unknown, context: Context): Validation<A> =>
    typeof input === 'string'
      ? attempt(() => parse(input.toWellFormed()), input, context)
      : mismatch('a string', input, context);
  return new Type(
    name,
    (input): input is A => validate(input, [])._tag === 'Right',
    validate,
    (value) => value,
  );
}

/** Any string. Lone surrogates become U+FFFD, as they cannot be written as UTF-8. */
export const text: Codec<string> = scalar('string', (value) => value);

/** A string the kernel can take: paths, arguments, environment values. */
export const systemText: Codec<string> = scalar('string', (value) =>
  value.includes('\0') ? refuse('must not contain a NUL character') : value,
);

/** true or false. */
export const flag: Codec<boolean> = new Type(
  'boolean',
  (input) => typeof input === 'boolean',
  (input, context) =>
    typeof input === 'boolean' ? success(input) : mismatch('true or false', input, context),
  (value) => value,
);

/** A whole number from `min` to `max`, both included; `message` is the complaint about others. */
export function integer(min: number, max: number, message = `must be in ${min}-${max} range`): Codec<number> {
  const fits = (input: unknown): input is number =>
    Number.isSafeInteger(input) && within(input as number, min, max);
  const validate = (input: unknown, context: Context): Validation<number> => {
    if (typeof input !== 'number') return mismatch('a whole number', input, context);
    return fits(input) ? success(input + 0) : failure(input, context, message);
  };
  return new Type('integer', fits, validate, (value) => value);
}

/** Any JSON value, kept as it is. */
export const json: Codec<unknown> = new Type(
  'json',
  (_input): _input is unknown => true,
  (input) => success(input),
  (value) => value,
);

/** An array of `item`. */
export function list<A>(item: Codec<A>): Codec<readonly A[]> {
  const validate = (input: unknown, context: Context): Validation<readonly A[]> => {
    if (!Array.isArray(input)) return mismatch('a list', input, context);
    const values: A[] = [];
    for (const [index, element] of input.entries()) {
      const result = item.validate(element, appendContext(context, String(index), item, element));
      if (result._tag === 'Left') return result;
      values.push(result.right);
    }
    return success(values);
  };
  const is = (input: unknown): input is readonly A[] =>
    Array.isArray(input) && input.every((one) => item.is(one));
  return new Type(`${item.name}[]`, is, validate, (values) => values.map((value) => item.encode(value)));
}

/** An array whose items differ in `key`; `message` complains about the key seen twice. */
export function uniqueList<A>(
  item: Codec<A>,
  key: (value: A) => string,
  message: (duplicate: string) => string,
): Codec<readonly A[]> {
  return refine(list(item), (values) => {
    const seen = new Set<string>();
    for (const name of values.map(key)) {
      if (seen.has(name)) refuse(message(name));
      seen.add(name);
    }
    return values;
  });
}

/** An object of free keys and string values. Written in the order of its keys, as Go does. */
export const stringMap: Codec<Readonly<Record<string, string>>> = new Type(
  'map',
  (input): input is Record<string, string> =>
    isObject(input) && Object.values(input).every((v) => text.is(v)),
  (input, context) => {
    if (!isObject(input)) return mismatch('an object', input, context);
    const pairs: [string, string][] = [];
    for (const [key, value] of Object.entries(input)) {
      const result = text.validate(value ?? '', appendContext(context, key, text, value));
      if (result._tag === 'Left') return result;
      pairs.push([key.toWellFormed(), result.right]);
    }
    // fromEntries defines own properties, so a key `__proto__` stays an ordinary key.
    return success(Object.fromEntries(pairs));
  },
  (value) =>
    new Map(Object.entries(value).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))),
);

/** `codec` with a rule of its own: `check` returns the value to keep or throws the complaint. */
export function refine<A>(codec: Codec<A>, check: (value: A) => A): Codec<A> {
  const validate = (input: unknown, context: Context): Validation<A> => {
    const result = codec.validate(input, context);
    return result._tag === 'Left' ? result : attempt(() => check(result.right), input, context);
  };
  return new Type(codec.name, codec.is, validate, codec.encode);
}

/** How one key of a {@link struct} is read and written. Made by the four functions below. */
export interface Field<A> {
  readonly codec: Codec<A>;
  /** Complaint when the key is missing; undefined when it may be. */
  readonly missing?: string;
  /** Value of a missing key. */
  readonly fallback?: A;
  /** What is written for an empty or missing value: the key with null, nothing, or the value itself. */
  readonly writeEmpty?: 'null' | 'nothing';
  /** Whether false, 0, "", [] and {} count as missing. */
  readonly dropEmpty?: boolean;
}

/** A key that must be there; `missing` is the complaint when it is not. */
export function required<A>(codec: Codec<A>, missing: string): Field<A> {
  return { codec, missing };
}

/** A key that is always written and has a value of its own when it is not read. */
export function defaulted<A>(codec: Codec<A>, fallback: A): Field<A> {
  return { codec, fallback };
}

/** A key that is absent whenever its value is empty. */
export function optional<A>(codec: Codec<A>): Field<A> {
  return { codec, writeEmpty: 'nothing', dropEmpty: true };
}

/** A key that is kept whenever it was given, also with an empty value (a pointer in Go). */
export function given<A>(codec: Codec<A>): Field<A> {
  return { codec, writeEmpty: 'nothing' };
}

/** A key that is always written, as null when it was not given (a slice in Go). */
export function nullable<A>(codec: Codec<A>): Field<A> {
  return { codec, writeEmpty: 'null' };
}

/** One {@link Field} per key of `A`, in the order they are written. */
export type Fields<A> = { readonly [K in keyof A]-?: Field<Exclude<A[K], undefined>> };

/** An object of known keys; `finish` returns the value to keep or throws the complaint about the whole. */
export function struct<A extends object>(
  name: string,
  fields: Fields<A>,
  finish: (value: A) => A = (value) => value,
): Codec<A> {
  const table = Object.entries(fields) as [string, Field<unknown>][];
  const keyByLowerCase = new Map(table.map(([key]) => [key.toLowerCase(), key]));

  const validate = (input: unknown, context: Context): Validation<A> => {
    if (input !== null && !isObject(input)) return mismatch('an object', input, context);
    const given = new Map<string, unknown>();
    for (const [key, value] of Object.entries(input ?? {})) {
      const known = keyByLowerCase.get(key.toLowerCase());
      if (known !== undefined && value !== null && value !== undefined) given.set(known, value);
    }
    const result: Record<string, unknown> = {};
    for (const [key, field] of table) {
      if (given.has(key)) {
        const value = given.get(key);
        const decoded = field.codec.validate(value, appendContext(context, key, field.codec, value));
        if (decoded._tag === 'Left') return decoded;
        if (!(field.dropEmpty === true && isEmpty(decoded.right))) result[key] = decoded.right;
      } else if (field.missing !== undefined) {
        return failure(input, context, field.missing);
      } else if (field.fallback !== undefined) {
        result[key] = field.fallback;
      }
    }
    return attempt(() => finish(result as A), input, context);
  };

  const encode = (value: A): unknown => {
    const output: Record<string, unknown> = {};
    for (const [key, field] of table) {
      const one = (value as Record<string, unknown>)[key] ?? field.fallback;
      if (one === undefined || (field.dropEmpty === true && isEmpty(one))) {
        if (field.writeEmpty === 'null') output[key] = null;
      } else {
        output[key] = field.codec.encode(one);
      }
    }
    return output;
  };

  const is = (input: unknown): input is A =>
    isObject(input) &&
    table.every(([key, { codec, writeEmpty }]) => {
      const value = input[key];
      return value === undefined ? writeEmpty !== undefined : codec.is(value);
    });
  return new Type(name, is, validate, encode);
}

function isEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  if (isObject(value)) return Object.keys(value).length === 0;
  return value === false || value === 0 || value === '';
}

function isObject(input: unknown): input is Record<string, unknown> {
  return typeof input === 'object' && input !== null && !Array.isArray(input);
}

function within(value: number, min: number, max: number): boolean {
  return value >= min && value <= max;
}

// Parsers throw; io-ts wants values. Anything but our own complaint is a bug and passes through.
function attempt<A>(parse: () => A, input: unknown, context: Context): Validation<A> {
  try {
    return success(parse());
  } catch (error) {
    if (error instanceof SpecError) return failure(input, context, error.message);
    throw error;
  }
}

function mismatch<A>(expected: string, input: unknown, context: Context): Validation<A> {
  return failure(input, context, `expected ${expected}, found ${kindOf(input)}`);
}

function kindOf(input: unknown): string {
  if (input === null || input === undefined) return 'null';
  if (Array.isArray(input)) return 'a list';
  return typeof input === 'object' ? 'an object' : `a ${typeof input}`;
}

// `app.ports[0].name` from the keys io-ts collected; the first entry is the value itself.
function pathOf(context: Context): string {
  return context
    .slice(1)
    .map(({ key }, index) => (/^\d+$/.test(key) ? `[${key}]` : `${index === 0 ? '' : '.'}${printable(key)}`))
    .join('');
}
