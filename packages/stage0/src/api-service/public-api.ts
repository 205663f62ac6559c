// The methods of the service v1alpha.PublicAPI (contract stage1 7.2). Runs in stage0.

import type {
  sendUnaryData,
  ServerUnaryCall,
  ServerWritableStream,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';

import type { Logger } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import type { DataDir } from '@rkt/pod-layout/data-dir';

import { resolvePod } from '../pod/find.ts';
import { statusRoot } from '../pod/record.ts';
import { ApiError } from './errors.ts';
import { imageMatcher, podMatcher } from './filters.ts';
import { Images } from './images.ts';
import { readLogs } from './logs.ts';
import { Pods } from './pods.ts';
import { rpcError } from './rpc-error.ts';
import type { GetLogsRequest, Info, METHODS, Pod } from './v1alpha.ts';

/** What the methods are about. */
export interface ApiContext {
  readonly data: DataDir;
  readonly info: Info;
  readonly logger: Logger;
  /** Aborts when the service ends. */
  readonly signal: AbortSignal;
}

type Methods = typeof METHODS;
type Request<Name extends keyof Methods> = ReturnType<Methods[Name]['request']['decode']>;
type Response<Name extends keyof Methods> = ReturnType<Methods[Name]['response']['decode']>;

/** Each holds files and memory until its client has read. */
const MAX_LOG_STREAMS = 64;

/** Answers of the service, by method. */
export function publicApi(context: ApiContext): UntypedServiceImplementation {
  const { data, info, logger } = context;
  const pods = new Pods(data, logger);
  pods.warm();
  const images = new Images(data, logger);
  const unary =
    <Name extends keyof Methods>(_name: Name, answer: (request: Request<Name>) => Response<Name>) =>
    (call: ServerUnaryCall<Request<Name>, Response<Name>>, done: sendUnaryData<Response<Name>>): void => {
      let response: Response<Name>;
      try {
        response = answer(call.request);
      } catch (error) {
        done(rpcError(error));
        return;
      }
      done(null, response);
    };
  return {
    GetInfo: unary('GetInfo', () => ({ info })),
    ListPods: unary('ListPods', ({ filters, detail }) => ({
      pods: listPods(pods, podMatcher(filters), detail),
    })),
    InspectPod: unary('InspectPod', ({ id }) => ({ pod: pods.inspect(id) })),
    ListImages: unary('ListImages', ({ filters, detail }) => ({
      images: images.list(imageMatcher(filters), detail),
    })),
    InspectImage: unary('InspectImage', ({ id }) => ({ image: images.inspect(id) })),
    ListenEvents: (call: ServerWritableStream<Request<'ListenEvents'>, Response<'ListenEvents'>>) => {
      call.on('error', () => undefined);
      call.emit('error', rpcError(new ApiError('not-implemented', 'not implemented yet')));
    },
    GetLogs: logStreams(context),
  };
}

function listPods(pods: Pods, matches: (pod: Pod) => boolean, detail: boolean): Pod[] {
  const found: Pod[] = [];
  for (const pod of pods.list()) {
    if (matches(pod)) found.push(detail ? { ...pod, manifest: pods.manifest(pod.id) } : pod);
  }
  return found;
}

type LogCall = ServerWritableStream<GetLogsRequest, Response<'GetLogs'>>;

function logStreams({ data, logger, signal }: ApiContext): (call: LogCall) => void {
  let streams = 0;
  return (call) => {
    call.on('error', () => undefined);
    if (streams >= MAX_LOG_STREAMS) {
      call.emit('error', rpcError(new ApiError('busy', `${MAX_LOG_STREAMS} logs are being read already`)));
      return;
    }
    streams += 1;
    const gone = new AbortController();
    call.once('cancelled', () => gone.abort());
    sendLogs(data, call, logger, AbortSignal.any([gone.signal, signal]))
      .then(
        () => call.end(),
        (error: unknown) => call.emit('error', rpcError(error)),
      )
      .finally(() => (streams -= 1))
      // Nothing is left to do for a client that went away.
      .catch(() => undefined);
  };
}

async function sendLogs(data: DataDir, call: LogCall, logger: Logger, signal: AbortSignal): Promise<void> {
  const { pod_id, app_name, lines, follow, since_time } = call.request;
  const pod = resolvePod(data, pod_id);
  const query = { app: app_name, last: lines, since: since_time, follow };
  try {
    for await (const batch of readLogs(statusRoot(pod.dir), query, logger, signal)) {
      await send(call, { lines: batch }, signal);
    }
  } catch (cause) {
    if (!hasCode(cause, 'no-journal')) throw cause;
    throw new ApiError('no-logs', `logging unsupported for pod ${quote(pod_id)}`);
  }
}

// Returns when the client has taken the batch, or nobody waits for it any more: a slow client makes us read slowly.
function send(call: LogCall, response: Response<'GetLogs'>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      signal.removeEventListener('abort', done);
      resolve();
    };
    signal.addEventListener('abort', done);
    call.write(response, done);
  });
}
