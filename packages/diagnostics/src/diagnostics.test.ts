// The message form of contract stage0 1.5 and 11.11.

import assert from 'node:assert/strict';

import { formatError } from './format.ts';
import { createLogger } from './logger.ts';
import { printable, quote } from './quote.ts';
import { errorChain, hasCode, RktError, wrap } from './rkt-error.ts';

const chain = wrap(
  'error preparing image sha512-..',
  wrap('error rendering tree image', new RktError('ENOSPC', 'no space left on device')),
);

describe('formatError', () => {
  it('shows the innermost cause behind prefix and context', () => {
    assert.equal(
      formatError(chain, { prefix: 'run', context: 'error setting up stage0' }),
      'run: error setting up stage0: no space left on device',
    );
  });
  it('leaves an empty context out', () => {
    assert.equal(formatError(chain, { prefix: 'fetch' }), 'fetch: no space left on device');
  });
  it('draws the tree with debug', () => {
    assert.equal(
      formatError(chain, { prefix: 'run', context: 'error setting up stage0', debug: true }),
      [
        'run: error setting up stage0',
        '  └─error preparing image sha512-..',
        '    └─error rendering tree image',
        '      └─no space left on device',
      ].join('\n'),
    );
  });
  it('adds the hint nearest to the cause', () => {
    const error = wrap('outer', new RktError('x', 'inner', { hint: 'try --overwrite' }));
    assert.equal(formatError(error, { prefix: 'p' }), 'p: inner (try --overwrite)');
  });
});

describe('errorChain', () => {
  it('ends at a cycle and at values that are no errors', () => {
    const loop = new Error('a');
    loop.cause = loop;
    assert.equal(errorChain(loop).length, 1);
    assert.deepEqual(
      errorChain(wrap('a', 'text')).map((link) => link.message),
      ['a', 'text'],
    );
  });
  it('finds a code anywhere in the chain', () => {
    assert.equal(hasCode(chain, 'ENOSPC'), true);
    assert.equal(hasCode(chain, 'EPERM'), false);
  });
});

describe('quote', () => {
  it('escapes as Go does', () => {
    assert.equal(quote('a"b\\c\n\x1b[31m\u00e9\u200b'), String.raw`"a\"b\\c\n\x1b[31mé\u200b"`);
    assert.equal(printable('a"b\x1b'), String.raw`a"b\x1b`);
  });
});

describe('createLogger', () => {
  it('ends each message in exactly one newline and hides debug lines', () => {
    const lines: string[] = [];
    const log = createLogger({ prefix: 'rm', write: (text) => void lines.push(text) });
    log.info('a\n');
    log.info('b');
    log.debug('c');
    assert.deepEqual(lines, ['rm: a\n', 'rm: b\n']);
  });
});
