// Messages as tables: one declaration gives the encoder, the decoder and the descriptor that reflection shows
// (proto3). Pure. Runs in stage0.

import { ApiError } from './errors.ts';
import { WIRE, WireReader, type WireType, WireWriter } from './wire.ts';

/** Scalar types that occur in rkt's API. */
export type ScalarName = 'string' | 'bytes' | 'bool' | 'int32' | 'sint32' | 'int64';

/** A set of named numbers. */
export interface EnumType {
  /** Without the package. */
  readonly name: string;
  /** Name of the message it is declared in. */
  readonly within?: string;
  readonly values: Readonly<Record<string, number>>;
}

/** What a field holds, as its descriptor says. */
export type FieldKind = ScalarName | EnumType | MessageType<unknown>;

/** One field; V is what it holds in memory. */
export interface Field<V> {
  readonly number: number;
  readonly kind: FieldKind;
  readonly repeated: boolean;
  /** Name of the group of which only one field is present. */
  readonly oneof?: string;
  /** What it holds when the message does not say. */
  readonly initial: V;
  write(writer: WireWriter, value: V): void;
  /** The value after one more occurrence. */
  read(reader: WireReader, type: WireType, previous: V): V;
}

/** A message type; T is its form in memory. */
export interface MessageType<T> {
  /** Without the package. */
  readonly name: string;
  readonly fields: Readonly<Record<string, Field<unknown>>>;
  encode(value: T): Buffer;
  /** @throws ApiError `malformed` */
  decode(bytes: Buffer): T;
}

type Fields<T> = { readonly [Name in keyof T]-?: Field<T[Name]> };

/** Declares a message by its fields, in the order of their numbers. */
export function message<T extends object>(name: string, fields: Fields<T>): MessageType<T> {
  const entries = Object.entries(fields) as [string & keyof T, Field<unknown>][];
  const byNumber = new Map(entries.map(([key, field]) => [field.number, { key, field }]));
  return {
    name,
    fields: fields as MessageType<T>['fields'],
    encode: (value) => {
      const writer = new WireWriter();
      for (const [key, field] of entries) field.write(writer, value[key]);
      return writer.finish();
    },
    decode: (bytes) => {
      const value = Object.fromEntries(entries.map(([key, { initial }]) => [key, initial]));
      const reader = new WireReader(bytes);
      while (!reader.atEnd) {
        const { field: number, type } = reader.tag();
        const known = byNumber.get(number);
        if (known === undefined) reader.skip(type);
        else value[known.key] = known.field.read(reader, type, value[known.key]);
      }
      return value as T;
    },
  };
}

// How one value of a kind looks on the wire.
interface Form<V> {
  readonly kind: FieldKind;
  readonly type: WireType;
  put(writer: WireWriter, value: V): void;
  take(reader: WireReader): V;
}

const TEXT: Form<string> = {
  kind: 'string',
  type: WIRE.delimited,
  put: (writer, value) => writer.delimited(Buffer.from(value, 'utf8')),
  take: (reader) => reader.delimited().toString('utf8'),
};

const BYTES: Form<Buffer> = {
  kind: 'bytes',
  type: WIRE.delimited,
  put: (writer, value) => writer.delimited(value),
  take: (reader) => reader.delimited(),
};

const BOOL: Form<boolean> = {
  kind: 'bool',
  type: WIRE.varint,
  put: (writer, value) => writer.varint(value ? 1 : 0),
  take: (reader) => reader.varint64() !== 0n,
};

const int32 = (kind: FieldKind): Form<number> => ({
  kind,
  type: WIRE.varint,
  put: (writer, value) => writer.varint64(BigInt(value)),
  take: (reader) => Number(BigInt.asIntN(32, reader.varint64())),
});

const SINT32: Form<number> = {
  kind: 'sint32',
  type: WIRE.varint,
  put: (writer, value) => writer.varint(((value << 1) ^ (value >> 31)) >>> 0),
  take: (reader) => {
    const bits = Number(BigInt.asUintN(32, reader.varint64()));
    return (bits >>> 1) ^ -(bits & 1);
  },
};

const INT64: Form<bigint> = {
  kind: 'int64',
  type: WIRE.varint,
  put: (writer, value) => writer.varint64(value),
  take: (reader) => BigInt.asIntN(64, reader.varint64()),
};

const nested = <T>(type: MessageType<T>): Form<T> => ({
  kind: type as MessageType<unknown>,
  type: WIRE.delimited,
  put: (writer, value) => writer.delimited(type.encode(value)),
  take: (reader) => type.decode(reader.delimited()),
});

function takeOne<V>(form: Form<V>, reader: WireReader, type: WireType): V {
  if (type !== form.type)
    throw new ApiError('malformed', 'malformed message: a value of the wrong wire type');
  return form.take(reader);
}

// proto3: a value of zero is not written.
const single = <V>(
  form: Form<V>,
  number: number,
  zero: V,
  isZero: (value: V) => boolean = (value) => value === zero,
): Field<V> => ({
  number,
  kind: form.kind,
  repeated: false,
  initial: zero,
  write: (writer, value) => {
    if (isZero(value)) return;
    writer.tag(number, form.type);
    form.put(writer, value);
  },
  read: (reader, type) => takeOne(form, reader, type),
});

const optional = <V>(form: Form<V>, number: number, oneof?: string): Field<V | undefined> => ({
  number,
  kind: form.kind,
  repeated: false,
  ...(oneof === undefined ? {} : { oneof }),
  initial: undefined,
  write: (writer, value) => {
    if (value === undefined) return;
    writer.tag(number, form.type);
    form.put(writer, value);
  },
  read: (reader, type) => takeOne(form, reader, type),
});

const list = <V>(form: Form<V>, number: number): Field<readonly V[]> => ({
  number,
  kind: form.kind,
  repeated: true,
  initial: [],
  write: (writer, values) => {
    if (form.type === WIRE.delimited) {
      for (const value of values) {
        writer.tag(number, form.type);
        form.put(writer, value);
      }
    } else if (values.length > 0) {
      // Numbers are packed into one value.
      const packed = new WireWriter();
      for (const value of values) form.put(packed, value);
      writer.tag(number, WIRE.delimited);
      writer.delimited(packed.finish());
    }
  },
  read: (reader, type, previous) => {
    // Copied at the first occurrence only: `initial` belongs to all messages.
    const values = previous.length === 0 ? [] : (previous as V[]);
    if (form.type === WIRE.delimited || type === form.type) values.push(takeOne(form, reader, type));
    else if (type === WIRE.delimited) {
      const packed = new WireReader(reader.delimited());
      while (!packed.atEnd) values.push(form.take(packed));
    } else takeOne(form, reader, type);
    return values;
  },
});

const NO_BYTES: Buffer = Buffer.alloc(0);

export const text = (number: number): Field<string> => single(TEXT, number, '');
export const bytes = (number: number): Field<Buffer> =>
  single(BYTES, number, NO_BYTES, ({ length }) => length === 0);
export const bool = (number: number): Field<boolean> => single(BOOL, number, false);
export const signed32 = (number: number): Field<number> => single(SINT32, number, 0);
export const integer32 = (number: number): Field<number> => single(int32('int32'), number, 0);
export const integer64 = (number: number): Field<bigint> => single(INT64, number, 0n);
export const oneOf = (number: number, type: EnumType): Field<number> => single(int32(type), number, 0);
/** A message, or undefined when it is absent. */
export const one = <T>(number: number, type: MessageType<T>, oneof?: string): Field<T | undefined> =>
  optional(nested(type), number, oneof);
/** A text whose absence is told from an empty one. */
export const optionalText = (number: number, oneof?: string): Field<string | undefined> =>
  optional(TEXT, number, oneof);
/** A number whose absence is told from zero. */
export const optionalInteger32 = (number: number): Field<number | undefined> =>
  optional(int32('int32'), number);
export const texts = (number: number): Field<readonly string[]> => list(TEXT, number);
export const byteStrings = (number: number): Field<readonly Buffer[]> => list(BYTES, number);
export const manyOf = (number: number, type: EnumType): Field<readonly number[]> => list(int32(type), number);
export const many = <T>(number: number, type: MessageType<T>): Field<readonly T[]> =>
  list(nested(type), number);
