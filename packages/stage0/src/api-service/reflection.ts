// Server reflection: tells clients such as grpcurl which services there are and what their messages look like
// (grpc.reflection.v1, and v1alpha, which is the same under another name). Runs in stage0.

import type { ServerDuplexStream, UntypedServiceImplementation } from '@grpc/grpc-js';

import { type Description, describe } from './descriptor.ts';
import {
  byteStrings,
  integer32,
  many,
  message,
  type MessageType,
  one,
  optionalText,
  text,
} from './message.ts';
import { fullName, method, type Service } from './service.ts';

interface ExtensionRequest {
  readonly containing_type: string;
  readonly extension_number: number;
}
const ExtensionRequest: MessageType<ExtensionRequest> = message('ExtensionRequest', {
  containing_type: text(1),
  extension_number: integer32(2),
});

interface ReflectionRequest {
  readonly host: string;
  readonly file_by_filename: string | undefined;
  readonly file_containing_symbol: string | undefined;
  readonly file_containing_extension: ExtensionRequest | undefined;
  readonly all_extension_numbers_of_type: string | undefined;
  readonly list_services: string | undefined;
}
const ReflectionRequest: MessageType<ReflectionRequest> = message('ServerReflectionRequest', {
  host: text(1),
  file_by_filename: optionalText(3, 'message_request'),
  file_containing_symbol: optionalText(4, 'message_request'),
  file_containing_extension: one(5, ExtensionRequest, 'message_request'),
  all_extension_numbers_of_type: optionalText(6, 'message_request'),
  list_services: optionalText(7, 'message_request'),
});

interface FileResponse {
  readonly file_descriptor_proto: readonly Buffer[];
}
const FileResponse: MessageType<FileResponse> = message('FileDescriptorResponse', {
  file_descriptor_proto: byteStrings(1),
});

interface ListResponse {
  readonly service: readonly { readonly name: string }[];
}
const ListResponse: MessageType<ListResponse> = message('ListServiceResponse', {
  service: many(1, message<{ readonly name: string }>('ServiceResponse', { name: text(1) })),
});

interface ErrorResponse {
  readonly error_code: number;
  readonly error_message: string;
}
const ErrorResponse: MessageType<ErrorResponse> = message('ErrorResponse', {
  error_code: integer32(1),
  error_message: text(2),
});

interface ReflectionResponse {
  readonly valid_host: string;
  readonly original_request: ReflectionRequest | undefined;
  readonly file_descriptor_response: FileResponse | undefined;
  readonly list_services_response: ListResponse | undefined;
  readonly error_response: ErrorResponse | undefined;
}
const ReflectionResponse: MessageType<ReflectionResponse> = message('ServerReflectionResponse', {
  valid_host: text(1),
  original_request: one(2, ReflectionRequest),
  file_descriptor_response: one(4, FileResponse, 'message_response'),
  list_services_response: one(6, ListResponse, 'message_response'),
  error_response: one(7, ErrorResponse, 'message_response'),
});

/** Both versions of the service. */
export const REFLECTION_SERVICES: readonly Service[] = ['v1', 'v1alpha'].map((version) => ({
  package: `grpc.reflection.${version}`,
  file: `grpc/reflection/${version}/reflection.proto`,
  name: 'ServerReflection',
  methods: {
    ServerReflectionInfo: method(ReflectionRequest, ReflectionResponse, {
      streams: true,
      requestStream: true,
    }),
  },
}));

const NOT_FOUND = 5;
const UNIMPLEMENTED = 12;

type Answer = Partial<Omit<ReflectionResponse, 'valid_host' | 'original_request'>>;

/** Answers about `services`. */
export function reflection(services: readonly Service[]): UntypedServiceImplementation {
  const byFile = new Map<string, Description>();
  const bySymbol = new Map<string, Description>();
  for (const service of services) {
    const description = describe(service);
    byFile.set(service.file, description);
    for (const symbol of description.symbols) bySymbol.set(symbol, description);
  }
  const list = services.map((service) => ({ name: fullName(service) }));
  const file = (description: Description | undefined, asked: string): Answer =>
    description === undefined
      ? { error_response: { error_code: NOT_FOUND, error_message: `${asked} is not known here` } }
      : { file_descriptor_response: { file_descriptor_proto: [description.bytes] } };
  const answer = (request: ReflectionRequest): Answer => {
    const { file_by_filename, file_containing_symbol, list_services } = request;
    if (list_services !== undefined) return { list_services_response: { service: list } };
    if (file_by_filename !== undefined) return file(byFile.get(file_by_filename), file_by_filename);
    if (file_containing_symbol !== undefined)
      return file(bySymbol.get(file_containing_symbol), file_containing_symbol);
    return { error_response: { error_code: UNIMPLEMENTED, error_message: 'there are no extensions' } };
  };
  return {
    ServerReflectionInfo: (call: ServerDuplexStream<ReflectionRequest, ReflectionResponse>) => {
      call.on('error', () => undefined);
      call.on('data', (request: ReflectionRequest) => {
        const full = {
          valid_host: request.host,
          original_request: request,
          file_descriptor_response: undefined,
          list_services_response: undefined,
          error_response: undefined,
          ...answer(request),
        };
        // Who asks without reading the answers waits.
        if (call.write(full)) return;
        call.pause();
        call.once('drain', () => call.resume());
      });
      call.on('end', () => call.end());
    },
  };
}
