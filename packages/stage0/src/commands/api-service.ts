// `rkt api-service`: tells other programs about pods and images over gRPC (contract stage1 7). Runs in stage0 until it
// is told to end.

import { createLogger } from '@rkt/diagnostics/logger';
import { APPC_VERSION } from '@rkt/spec/appc-version';

import { ApiError } from '../api-service/errors.ts';
import { createApiServer } from '../api-service/server.ts';
import {
  type Accept,
  DEFAULT_LISTEN,
  type Listening,
  listenOn,
  listenOnPassed,
  passedSockets,
} from '../api-service/sockets.ts';
import type { Info } from '../api-service/v1alpha.ts';
import { buildInfo } from '../build-info.ts';
import { describeInsecureOptions } from '../cli/flags/insecure.ts';
import type { ApiServiceFlags, GlobalFlags, Invocation } from '../cli/requests.ts';
import { resolveDataDir } from '../config/data-dir.ts';
import { duringAsync } from '../pod/context.ts';

const API_VERSION = '1.0.0-alpha';

export async function run({ command, global, flags, env }: Invocation<ApiServiceFlags>): Promise<number> {
  const logger = createLogger({ prefix: command, debug: global.debug });
  const ended = untilSignalled();
  logger.info('API service starting...');
  const data = await resolveDataDir(global);
  const end = new AbortController();
  const server = createApiServer({ data, info: describeRkt(data, global), logger, signal: end.signal });
  const { servers, where } = await openSockets(flags.listen, env, server.accept);
  logger.info(`Listening on ${where}`);
  logger.info('API service running');
  await ended;
  logger.info('API service exiting...');
  for (const each of servers) each.close();
  end.abort();
  await server.stop();
  return 0;
}

async function openSockets(
  listen: string,
  env: Readonly<Record<string, string>>,
  accept: Accept,
): Promise<Listening> {
  const passed = passedSockets(env, process.pid);
  if (passed > 0 && listen !== '') {
    throw new ApiError('socket', 'started under systemd.socket(5), but --listen passed! Quitting.');
  }
  return await duringAsync('Failed to open sockets', () =>
    passed > 0 ? listenOnPassed(passed, accept) : listenOn(listen === '' ? DEFAULT_LISTEN : listen, accept),
  );
}

function describeRkt(dir: string, global: GlobalFlags): Info {
  return {
    rkt_version: buildInfo.version,
    appc_version: APPC_VERSION,
    api_version: API_VERSION,
    global_flags: {
      dir,
      system_config_dir: global.systemConfig,
      local_config_dir: global.localConfig,
      user_config_dir: global.userConfig ?? '',
      insecure_flags: describeInsecureOptions(global.insecure),
      trust_keys_from_https: global.trustKeysFromHttps,
    },
  };
}

function untilSignalled(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
}
