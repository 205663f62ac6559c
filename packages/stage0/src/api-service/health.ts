// The standard health service: as long as it answers, everything it is asked about works (grpc.health.v1). Runs in
// stage0.

import type {
  sendUnaryData,
  ServerUnaryCall,
  ServerWritableStream,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';

import { quote } from '@rkt/diagnostics/quote';

import { ApiError } from './errors.ts';
import { type EnumType, message, type MessageType, oneOf, text } from './message.ts';
import { rpcError } from './rpc-error.ts';
import { fullName, method, type Service } from './service.ts';

const SERVING = 1;
const SERVICE_UNKNOWN = 3;
const ServingStatus: EnumType = {
  name: 'ServingStatus',
  within: 'HealthCheckResponse',
  values: { UNKNOWN: 0, SERVING, NOT_SERVING: 2, SERVICE_UNKNOWN },
};

interface HealthRequest {
  readonly service: string;
}
const HealthRequest: MessageType<HealthRequest> = message('HealthCheckRequest', { service: text(1) });

interface HealthResponse {
  readonly status: number;
}
const HealthResponse: MessageType<HealthResponse> = message('HealthCheckResponse', {
  status: oneOf(1, ServingStatus),
});

export const HEALTH: Service = {
  package: 'grpc.health.v1',
  file: 'grpc/health/v1/health.proto',
  name: 'Health',
  methods: {
    Check: method(HealthRequest, HealthResponse),
    Watch: method(HealthRequest, HealthResponse, { streams: true }),
  },
};

/**
 * Answers about `services`, and about the server as a whole.
 * @param end Aborts when the service ends.
 */
export function health(services: readonly Service[], end: AbortSignal): UntypedServiceImplementation {
  const known = new Set(['', ...services.map(fullName)]);
  return {
    Check: (call: ServerUnaryCall<HealthRequest, HealthResponse>, done: sendUnaryData<HealthResponse>) => {
      const { service } = call.request;
      if (known.has(service)) done(null, { status: SERVING });
      else done(rpcError(new ApiError('not-found', `unknown service ${quote(service)}`)));
    },
    // The status never changes; the stream stays open until the client or the service ends.
    Watch: (call: ServerWritableStream<HealthRequest, HealthResponse>) => {
      call.on('error', () => undefined);
      call.write({ status: known.has(call.request.service) ? SERVING : SERVICE_UNKNOWN });
      const finish = (): void => {
        call.end();
      };
      end.addEventListener('abort', finish);
      call.once('cancelled', () => end.removeEventListener('abort', finish));
    },
  };
}
