// Programs that run before and after an app (contract stage0 3.3). Pure; runs in every process.

import { quote } from '@rkt/diagnostics/quote';

import { defaulted, required, scalar, struct, uniqueList } from './codec.ts';
import type { Codec } from './codec.ts';
import { refuse } from './errors.ts';
import { Exec } from './exec.ts';

export interface EventHandler {
  readonly name: 'pre-start' | 'post-stop';
  readonly exec: Exec;
}

const EMPTY_NAME = 'eventHandler "name" cannot be empty';

const EventName: Codec<EventHandler['name']> = scalar('EventName', (name) => {
  if (name === '') refuse(EMPTY_NAME);
  return name === 'pre-start' || name === 'post-stop'
    ? name
    : refuse(`bad eventHandler "name": ${quote(name)}`);
});

export const EventHandler: Codec<EventHandler> = struct<EventHandler>('EventHandler', {
  name: required(EventName, EMPTY_NAME),
  exec: defaulted(Exec, []),
});

/** At most one handler of each name. */
export const EventHandlers: Codec<readonly EventHandler[]> = uniqueList(
  EventHandler,
  ({ name }) => name,
  (name) => `Only one eventHandler of name ${quote(name)} allowed`,
);
