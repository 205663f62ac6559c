// The gRPC server of `rkt api-service`: its services, its limits, its end (contract stage1 7.1). grpc-js is loaded here
// and nowhere else. Runs in stage0.

import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { Socket } from 'node:net';

import { HEALTH, health } from './health.ts';
import { type ApiContext, publicApi } from './public-api.ts';
import { REFLECTION_SERVICES, reflection } from './reflection.ts';
import { serviceDefinition } from './service.ts';
import { PUBLIC_API } from './v1alpha.ts';

const MIB = 1024 * 1024;
const SECOND = 1000;

/** What one client can take of the service. */
const LIMITS = {
  // Requests are filters.
  'grpc.max_receive_message_length': MIB,
  'grpc.max_send_message_length': 64 * MIB,
  'grpc.max_concurrent_streams': 64,
  // Per connection, in MiB: what waits for a client that does not read. Beyond it there are no new streams.
  'grpc-node.max_session_memory': 32,
  // A peer that does not answer, or does not read, is disconnected.
  'grpc.keepalive_time_ms': 30 * SECOND,
  'grpc.keepalive_timeout_ms': 20 * SECOND,
  'grpc.max_connection_idle_ms': 900 * SECOND,
  'grpc.enable_channelz': 0,
} as const;

/** Requests that are being answered when the service ends get this long. */
const END_MS = 2 * SECOND;

/** A server that answers. */
export interface ApiServer {
  /** Serves a connection. */
  readonly accept: (socket: Socket) => void;
  /** Lets requests end, closes all connections, and returns when nothing is left. */
  stop(): Promise<void>;
}

/** Makes the server; it listens nowhere by itself. */
export function createApiServer(context: ApiContext): ApiServer {
  const server = new Server(LIMITS);
  const described = [PUBLIC_API, HEALTH, ...REFLECTION_SERVICES];
  server.addService(serviceDefinition(PUBLIC_API), publicApi(context));
  server.addService(serviceDefinition(HEALTH), health(described, context.signal));
  for (const service of REFLECTION_SERVICES) {
    server.addService(serviceDefinition(service), reflection(described));
  }
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  return {
    accept: (socket) => {
      socket.on('error', () => undefined);
      injector.injectConnection(socket);
    },
    stop: async () => {
      injector.drain(END_MS);
      const timer = setTimeout(() => server.forceShutdown(), END_MS);
      await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      clearTimeout(timer);
      server.forceShutdown();
    },
  };
}
