// Services as tables of methods, and what grpc-js wants to know of them. Pure. Runs in stage0.

import type { ServiceDefinition } from '@grpc/grpc-js';

import type { MessageType } from './message.ts';

/** One remote procedure. */
export interface Method<Request, Response> {
  readonly request: MessageType<Request>;
  readonly response: MessageType<Response>;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

/** A service and the file that describes it. */
export interface Service {
  readonly package: string;
  /** Name of its .proto file, as reflection tells it. */
  readonly file: string;
  readonly name: string;
  readonly methods: Readonly<Record<string, Method<unknown, unknown>>>;
}

/** Declares a method; `streams` says that the service answers with any number of messages. */
export function method<Request, Response>(
  request: MessageType<Request>,
  response: MessageType<Response>,
  { streams = false, requestStream = false }: { streams?: boolean; requestStream?: boolean } = {},
): Method<Request, Response> {
  return { request, response, requestStream, responseStream: streams };
}

/** `package.Name` */
export function fullName(service: Service): string {
  return `${service.package}.${service.name}`;
}

/** The service in the words of grpc-js. */
export function serviceDefinition(service: Service): ServiceDefinition {
  return Object.fromEntries(
    Object.entries(service.methods).map(([name, { request, response, requestStream, responseStream }]) => [
      name,
      {
        path: `/${fullName(service)}/${name}`,
        originalName: name,
        requestStream,
        responseStream,
        requestSerialize: request.encode,
        requestDeserialize: request.decode,
        responseSerialize: response.encode,
        responseDeserialize: response.decode,
      },
    ]),
  );
}
