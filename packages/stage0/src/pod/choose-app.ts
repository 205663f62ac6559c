// Which app of a pod a command is about (contract stage0 8.18). Pure. Runs in stage0.

import { PodError } from './errors.ts';

/**
 * The app named by --app, or the only one.
 * @param list receives the choices when the user has to choose.
 * @throws PodError `app-not-found`.
 */
export function chooseApp(
  names: readonly string[],
  wanted: string | undefined,
  verb: 'attach' | 'enter' | 'export' | 'logs',
  list: (text: string) => void,
): string {
  if (wanted !== undefined && wanted !== '') {
    if (names.includes(wanted)) return wanted;
    throw new PodError('app-not-found', `app ${wanted} is not present in pod`);
  }
  const [first, second] = names;
  if (first === undefined) throw new PodError('app-not-found', 'pod contains zero apps');
  if (second === undefined) return first;
  list(`pod contains multiple apps:\n${names.map((name) => `\t${name}\n`).join('')}`);
  throw new PodError('app-not-found', `specify app using "rkt ${verb} --app= ..."`);
}
