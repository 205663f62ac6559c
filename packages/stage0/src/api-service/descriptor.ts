// Describes a service in the language of descriptor.proto, for clients that ask by reflection. Pure. Runs in stage0.

import {
  type EnumType,
  type FieldKind,
  integer32,
  many,
  message,
  type MessageType,
  bool,
  optionalInteger32,
  text,
} from './message.ts';
import type { Service } from './service.ts';

interface FieldDescriptor {
  readonly name: string;
  readonly number: number;
  readonly label: number;
  readonly type: number;
  readonly type_name: string;
  readonly oneof_index: number | undefined;
  readonly json_name: string;
}
const FieldDescriptor: MessageType<FieldDescriptor> = message('FieldDescriptorProto', {
  name: text(1),
  number: integer32(3),
  label: integer32(4),
  type: integer32(5),
  type_name: text(6),
  oneof_index: optionalInteger32(9),
  json_name: text(10),
});

interface Named {
  readonly name: string;
}
const OneofDescriptor: MessageType<Named> = message('OneofDescriptorProto', { name: text(1) });

interface EnumDescriptor {
  readonly name: string;
  readonly value: readonly { readonly name: string; readonly number: number }[];
}
const EnumDescriptor: MessageType<EnumDescriptor> = message('EnumDescriptorProto', {
  name: text(1),
  value: many(
    2,
    message<EnumDescriptor['value'][number]>('EnumValueDescriptorProto', {
      name: text(1),
      number: integer32(2),
    }),
  ),
});

interface Descriptor {
  readonly name: string;
  readonly field: readonly FieldDescriptor[];
  readonly enum_type: readonly EnumDescriptor[];
  readonly oneof_decl: readonly Named[];
}
const Descriptor: MessageType<Descriptor> = message('DescriptorProto', {
  name: text(1),
  field: many(2, FieldDescriptor),
  enum_type: many(4, EnumDescriptor),
  oneof_decl: many(8, OneofDescriptor),
});

interface MethodDescriptor {
  readonly name: string;
  readonly input_type: string;
  readonly output_type: string;
  readonly client_streaming: boolean;
  readonly server_streaming: boolean;
}
interface ServiceDescriptor {
  readonly name: string;
  readonly method: readonly MethodDescriptor[];
}
const ServiceDescriptor: MessageType<ServiceDescriptor> = message('ServiceDescriptorProto', {
  name: text(1),
  method: many(
    2,
    message<MethodDescriptor>('MethodDescriptorProto', {
      name: text(1),
      input_type: text(2),
      output_type: text(3),
      client_streaming: bool(5),
      server_streaming: bool(6),
    }),
  ),
});

interface FileDescriptor {
  readonly name: string;
  readonly package: string;
  readonly message_type: readonly Descriptor[];
  readonly enum_type: readonly EnumDescriptor[];
  readonly service: readonly ServiceDescriptor[];
  readonly syntax: string;
}
const FileDescriptor: MessageType<FileDescriptor> = message('FileDescriptorProto', {
  name: text(1),
  package: text(2),
  message_type: many(4, Descriptor),
  enum_type: many(5, EnumDescriptor),
  service: many(6, ServiceDescriptor),
  syntax: text(12),
});

const OPTIONAL = 1;
const REPEATED = 3;
// Numbers of FieldDescriptorProto.Type.
const SCALAR_TYPES = { int64: 3, int32: 5, bool: 8, string: 9, bytes: 12, sint32: 17 } as const;
const TYPE_MESSAGE = 11;
const TYPE_ENUM = 14;

/** What a service's file declares. */
export interface Description {
  /** Full names of what is in it: the service, its methods, messages and enums. */
  readonly symbols: readonly string[];
  /** A FileDescriptorProto. */
  readonly bytes: Buffer;
}

/** The file that declares the service and all that its methods take and give. */
export function describe(service: Service): Description {
  const methods = Object.entries(service.methods);
  const messages = new Map<string, MessageType<unknown>>();
  const enums = new Map<string, EnumType>();
  const visit = (kind: FieldKind): void => {
    if (typeof kind === 'string') return;
    if ('values' in kind) enums.set(kind.name, kind);
    else if (!messages.has(kind.name)) {
      messages.set(kind.name, kind);
      for (const { kind: inner } of Object.values(kind.fields)) visit(inner);
    }
  };
  for (const [, { request, response }] of methods) for (const type of [request, response]) visit(type);
  const nameOf = (type: EnumType | MessageType<unknown>): string =>
    'values' in type && type.within !== undefined
      ? `${service.package}.${type.within}.${type.name}`
      : `${service.package}.${type.name}`;
  const all = [...enums.values()];
  const bytes = FileDescriptor.encode({
    name: service.file,
    package: service.package,
    message_type: [...messages.values()].map((type) => describeMessage(type, all, nameOf)),
    enum_type: all.filter(({ within }) => within === undefined).map(describeEnum),
    service: [
      {
        name: service.name,
        method: methods.map(([name, { request, response, requestStream, responseStream }]) => ({
          name,
          input_type: `.${nameOf(request)}`,
          output_type: `.${nameOf(response)}`,
          client_streaming: requestStream,
          server_streaming: responseStream,
        })),
      },
    ],
    syntax: 'proto3',
  });
  const own = `${service.package}.${service.name}`;
  const symbols = [
    own,
    ...methods.map(([name]) => `${own}.${name}`),
    ...[...messages.values(), ...all].map(nameOf),
  ];
  return { symbols, bytes };
}

function describeMessage(
  { name, fields }: MessageType<unknown>,
  enums: readonly EnumType[],
  nameOf: (type: EnumType | MessageType<unknown>) => string,
): Descriptor {
  const oneofs = [...new Set(Object.values(fields).flatMap(({ oneof }) => oneof ?? []))];
  return {
    name,
    field: Object.entries(fields).map(([field, { number, kind, repeated, oneof }]) => ({
      name: field,
      number,
      label: repeated ? REPEATED : OPTIONAL,
      type: typeof kind === 'string' ? SCALAR_TYPES[kind] : 'values' in kind ? TYPE_ENUM : TYPE_MESSAGE,
      type_name: typeof kind === 'string' ? '' : `.${nameOf(kind)}`,
      oneof_index: oneof === undefined ? undefined : oneofs.indexOf(oneof),
      json_name: field.replaceAll(/_([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase()),
    })),
    enum_type: enums.filter(({ within }) => within === name).map(describeEnum),
    oneof_decl: oneofs.map((oneof) => ({ name: oneof })),
  };
}

function describeEnum({ name, values }: EnumType): EnumDescriptor {
  return { name, value: Object.entries(values).map(([key, number]) => ({ name: key, number })) };
}
