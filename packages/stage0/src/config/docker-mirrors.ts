// Configuration of kind `dockerMirrors`, ours: who has copies of a registry's images. Pure; runs in stage0.

import { quote } from '@rkt/diagnostics/quote';

import type { Config, DockerMirror } from './config.ts';
import { ConfigError, refuse } from './errors.ts';
import { textsAt, type ConfigObject } from './json-object.ts';

/** Adds the registries of one file to those of its directory. */
export function readDockerMirrors(file: ConfigObject, directory: Config): Config {
  const registries = textsAt(file, 'registries');
  if (registries.length === 0) refuse('no registries specified');
  const mirrors = textsAt(file, 'mirrors').map(readMirror);
  const dockerMirrors = new Map(directory.dockerMirrors);
  for (const registry of registries) {
    if (dockerMirrors.has(registry)) {
      throw new ConfigError(
        'duplicate-config',
        `mirrors of docker registry ${quote(registry)} are already specified`,
      );
    }
    dockerMirrors.set(registry, mirrors);
  }
  return { ...directory, dockerMirrors };
}

// [http[s]://]HOST[:PORT][/PREFIX]
function readMirror(text: string): DockerMirror {
  const [, scheme = 'https', host = '', prefix = ''] =
    /^(?:(https?):\/\/)?([A-Za-z0-9.-]+(?::[0-9]+)?|\[[0-9A-Fa-f:]+\](?::[0-9]+)?)((?:\/[a-z0-9._-]+)*)\/?$/.exec(
      text,
    ) ?? [];
  if (
    host === '' ||
    prefix.split('/').some((part) => /^\.+$/.test(part)) ||
    !URL.canParse(`https://${host}`)
  ) {
    return refuse(`bad mirror ${quote(text)}, use [http://]HOST[:PORT][/PREFIX]`);
  }
  return { host: host.toLowerCase(), prefix: prefix.slice(1), scheme: scheme === 'http' ? 'http' : 'https' };
}

/** As it is written in a file. */
export function formatMirror({ host, prefix, scheme }: DockerMirror): string {
  return `${scheme === 'http' ? 'http://' : ''}${host}${prefix === '' ? '' : `/${prefix}`}`;
}
