import assert from 'node:assert/strict';

import type { App } from '@rkt/spec/app';

import { appEnvironment, environmentValue } from './app-env.ts';

function loaded(...environment: [string, string][]): { name: string; app: App } {
  return {
    name: 'web',
    app: {
      exec: ['/x'],
      user: '0',
      group: '0',
      environment: environment.map(([name, value]) => ({ name, value })),
    },
  };
}

describe('environment of an app', () => {
  it('has the defaults, container and AC_APP_NAME', () => {
    assert.deepEqual(
      appEnvironment(loaded()).map(({ name, value }) => `${name}=${value}`),
      [
        'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        'SHELL=/bin/sh',
        'USER=root',
        'LOGNAME=root',
        'HOME=/root',
        'container=rkt',
        'AC_APP_NAME=web',
      ],
    );
  });

  it("keeps the app's own values and their order", () => {
    const variables = appEnvironment(loaded(['HOME', ''], ['container', 'mine'], ['B', '2'], ['A', '1']));
    assert.equal(environmentValue(variables, 'HOME'), '');
    assert.equal(environmentValue(variables, 'container'), 'mine');
    const names = variables.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    assert.ok(names.indexOf('B') < names.indexOf('A'));
  });

  it('does not let the app choose what only the executor knows', () => {
    const variables = appEnvironment(
      loaded(['AC_APP_NAME', 'other'], ['AC_METADATA_URL', 'evil']),
      'http://m',
    );
    assert.equal(environmentValue(variables, 'AC_APP_NAME'), 'web');
    assert.equal(environmentValue(variables, 'AC_METADATA_URL'), 'http://m');
    assert.equal(variables.filter(({ name }) => name.startsWith('AC_')).length, 2);
  });
});
