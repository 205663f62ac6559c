// `rkt trust`: which keys it takes, what it says, and the question (contract stage0 6.1, 6.5, 6.6, 11.16).

import assert from 'node:assert/strict';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { GpgHome } from '@rkt/testkit/gpg-keys';
import { type ImageServer, startImageServer } from '@rkt/testkit/image-server';

import { storeSuite } from '../lib/fixtures.ts';
import type { Running } from '../lib/process.ts';
import { expectStatus, INSECURE } from '../lib/rkt.ts';

const QUESTION = 'Are you sure you want to trust this key (yes/no)?';
const SKIP = '--skip-fingerprint-review';

storeSuite('trust', ['program:gpg', 'program:script'], (the) => {
  let gpg: GpgHome;
  let key: string;
  let subkey: string;
  let otherKey: string;
  let file: string;
  before(() => {
    gpg = new GpgHome();
    key = gpg.makeKey('Example Builder <b@example.com>');
    subkey = gpg.addSubkey(key, { algorithm: 'rsa2048' });
    gpg.addUserId(key, 'Builder at work <work@example.com>');
    otherKey = gpg.makeKey('Other <o@example.org>');
  });
  after(() => gpg?.remove());
  beforeEach(() => {
    file = the.rkt.tmp.join('key.gpg');
    writeFileSync(file, gpg.exportKey(key));
  });

  const spaced = (hex: string): string => {
    const groups = hex.match(/.{4}/g) ?? [];
    return `${groups.slice(0, 5).join(' ')}  ${groups.slice(5).join(' ')}`;
  };
  const keyFile = (directory: string, fingerprint = key): string =>
    join(the.rkt.localConfig, 'trustedkeys', directory, fingerprint.toLowerCase());
  const isTrusted = (directory: string, fingerprint = key): boolean =>
    existsSync(keyFile(directory, fingerprint));
  const nothingTrusted = (): void => assert.deepEqual(readdirSync(the.rkt.localConfig), []);

  describe('takes a key', () => {
    it('for a prefix, and says everything about it', async () => {
      const { stdout, stderr } = await the.rkt.ok(['trust', '--prefix=example.com/web', SKIP, './key.gpg'], {
        cwd: the.rkt.tmp.path,
      });
      assert.equal(stderr, 'pubkey: prefix: "example.com/web"\nkey: "./key.gpg"\n');
      const identities = ['Example Builder <b@example.com>', 'Builder at work <work@example.com>'];
      const lines = stdout.trimEnd().split('\n');
      assert.deepEqual(lines.slice(0, 2), [
        `gpg key fingerprint is: ${spaced(key)}`,
        `    Subkey fingerprint: ${spaced(subkey)}`,
      ]);
      assert.deepEqual(
        lines.slice(2, 4).toSorted(),
        identities.map((identity) => `\t${identity}`).toSorted(),
      );
      assert.deepEqual(lines.slice(4), [
        'Trusting "./key.gpg" for prefix "example.com/web" without fingerprint review.',
        `Added key for prefix "example.com/web" at "${keyFile('prefix.d/example.com/web')}"`,
      ]);
    });
    it('as it was received, readable by all and writable by one', async () => {
      await the.rkt.ok(['trust', '--prefix=example.com/web', SKIP, file]);
      const stored = keyFile('prefix.d/example.com/web');
      assert.deepEqual(readFileSync(stored), readFileSync(file));
      assert.equal(statSync(stored).mode & 0o7777, 0o644);
      for (const directory of ['trustedkeys', 'trustedkeys/prefix.d', 'trustedkeys/prefix.d/example.com'])
        assert.equal(statSync(join(the.rkt.localConfig, directory)).mode & 0o7777, 0o755);
      assert.deepEqual(readdirSync(the.rkt.systemConfig), []);
    });
    it('for all images', async () => {
      const { stdout, stderr } = await the.rkt.ok(['trust', '--root', SKIP, file]);
      assert.match(stderr, /^pubkey: prefix: ""\n/);
      assert.ok(stdout.endsWith(`Added root key at "${keyFile('root.d')}"\n`), stdout);
    });
    it('that is binary, or one of several in a file: each becomes a file of its own', async () => {
      writeFileSync(file, Buffer.concat([gpg.exportKey(key, false), gpg.exportKey(otherKey, false)]));
      const { stdout } = await the.rkt.ok(['trust', '--root', SKIP, file]);
      assert.equal(stdout.match(/Added root key at/g)?.length, 2);
      for (const each of [key, otherKey]) {
        const text = readFileSync(keyFile('root.d', each), 'utf8');
        assert.match(text, /^-----BEGIN PGP PUBLIC KEY BLOCK-----/);
      }
    });
    it('again, which replaces it', async () => {
      await the.rkt.ok(['trust', '--root', SKIP, file]);
      writeFileSync(keyFile('root.d'), '');
      await the.rkt.ok(['trust', '--root', SKIP, file]);
      assert.deepEqual(readFileSync(keyFile('root.d')), readFileSync(file));
    });
    it('and more keys, up to the first that is none', async () => {
      writeFileSync(the.rkt.tmp.join('other'), gpg.exportKey(otherKey));
      await the.rkt.ok(['trust', '--prefix=example.org', SKIP, file, the.rkt.tmp.join('other')]);
      assert.ok(isTrusted('prefix.d/example.org') && isTrusted('prefix.d/example.org', otherKey));
      writeFileSync(the.rkt.tmp.join('junk'), 'junk');
      await the.rkt.fails(
        ['trust', '--root', SKIP, file, the.rkt.tmp.join('junk'), the.rkt.tmp.join('other')],
        /^trust: error adding keys: .*junk" is not an OpenPGP public key/m,
      );
      assert.ok(isTrusted('root.d') && !isTrusted('root.d', otherKey));
    });
  });

  describe('refuses', () => {
    const refuses = async (args: readonly string[], text: string | RegExp): Promise<void> => {
      await the.rkt.fails(['trust', SKIP, ...args], text);
      nothingTrusted();
    };
    it('keys for nothing: implicit unbounded trust', async () => {
      const { stderr } = await the.rkt.fails(['trust', SKIP, file], 'implicit unbounded trust');
      assert.match(stderr, /^trust: [^]*--prefix[^]*--root/);
      assert.ok(stderr.trimEnd().split('\n').length > 1, stderr);
      nothingTrusted();
    });
    it('nothing for nothing, with the usage', async () => {
      const { stdout } = await the.rkt.fails(['trust'], 'USAGE:');
      assert.match(
        stdout,
        /rkt trust \[--prefix=PREFIX\] \[--insecure-allow-http\] \[--skip-fingerprint-review\] \[--root\] \[PUBKEY \.\.\.\]/,
      );
    });
    it('a prefix and all at once', () =>
      refuses(
        ['--root', '--prefix=example.com', file],
        'trust: --root and --prefix usage mutually exclusive',
      ));
    it('a prefix that is a URL', () =>
      refuses(
        ['--prefix=https://example.com', file],
        '--prefix must not contain a URL scheme, omit https://',
      ));
    it('a prefix that cannot begin a name', async () => {
      await refuses(['--prefix=Example.com', file], /ACIdentifier must contain only lower case/);
      await refuses(['--prefix=example.com/../x', file], 'cannot be the beginning of an image name');
    });
    it('other schemes', async () => {
      for (const location of ['ftp://example.com/key', `file://${file}`])
        await refuses(['--root', location], 'only local files and http or https URLs supported');
    });
    it('plain http', () =>
      refuses(['--root', 'http://127.0.0.1:9/key'], '--insecure-allow-http required for http URLs'));
    it('files that are not there, no files, or no public keys', async () => {
      await refuses(
        ['--root', './missing'],
        /trust: error adding keys: .*missing: no such file or directory/,
      );
      await refuses(['--root', the.rkt.tmp.path], 'is not a regular file');
      await refuses(['--root', '/dev/null'], 'is not a regular file');
      writeFileSync(file, '');
      await refuses(['--root', file], 'is not an OpenPGP public key');
      writeFileSync(file, gpg.sign(Buffer.from('x'), key));
      await refuses(['--root', file], 'is not an OpenPGP public key');
      writeFileSync(file, gpg.exportSecretKey(key));
      await refuses(['--root', file], 'holds a private key');
    });
    it('to work without a keystore', async () => {
      await the.rkt.fails([INSECURE, 'trust', '--root', SKIP, file], 'trust: could not get the keystore');
      nothingTrusted();
    });
    it('a directory of keys that everybody can write', async () => {
      await the.rkt.ok(['trust', '--root', SKIP, file]);
      chmodSync(join(the.rkt.localConfig, 'trustedkeys/root.d'), 0o777);
      await the.rkt.fails(['trust', '--root', SKIP, file], 'can be written by everybody');
    });
  });

  describe('asks', () => {
    const onTerminal = (...args: readonly string[]): Running =>
      the.rkt.startOnTerminal(['trust', ...args, file]);
    const asked = (running: Running, times = 1): Promise<unknown> =>
      running.waitFor(new RegExp(`(?:${QUESTION.replace(/[()?]/g, '\\$&')}[^]*){${times}}`));

    it('and takes yes', async () => {
      const running = onTerminal('--prefix=example.com');
      await asked(running);
      assert.match(running.output, new RegExp(`gpg key fingerprint is: ${spaced(key)}`));
      nothingTrusted();
      running.write('yes\n');
      const { output } = expectStatus(await running.ended, 0);
      assert.ok(
        output.includes(`Trusting "${file}" for prefix "example.com" after fingerprint review.`),
        output,
      );
      assert.ok(output.includes('Added key for prefix "example.com" at'), output);
      assert.ok(isTrusted('prefix.d/example.com'));
    });
    it('and takes no', async () => {
      const running = onTerminal('--root');
      await asked(running);
      running.write('no\n');
      const { output } = expectStatus(await running.ended, 0);
      assert.ok(output.includes(`pubkey: not trusting "${file}"`), output);
      nothingTrusted();
    });
    it('and takes nothing else', async () => {
      const running = onTerminal('--root');
      let times = 1;
      for (const answer of ['y', 'YES', '', 'yes please', ' yes']) {
        await asked(running, times);
        running.write(`${answer}\n`);
        await running.waitFor(new RegExp(`(?:Please enter 'yes' or 'no'[^]*){${times}}`));
        times += 1;
      }
      await asked(running, times);
      running.write('yes\n');
      expectStatus(await running.ended, 0);
      assert.ok(isTrusted('root.d'));
    });
    it('for each key, and goes on after a no', async () => {
      const other = the.rkt.tmp.join('other');
      writeFileSync(other, gpg.exportKey(otherKey));
      const running = the.rkt.startOnTerminal(['trust', '--root', file, other]);
      await asked(running);
      running.write('no\n');
      await asked(running, 2);
      running.write('yes\n');
      expectStatus(await running.ended, 0);
      assert.ok(!isTrusted('root.d') && isTrusted('root.d', otherKey));
    });
    it('and gives up when the terminal is gone', async () => {
      const running = onTerminal('--root');
      await asked(running);
      running.write('\u0004');
      expectStatus(await running.ended, 254);
      nothingTrusted();
    });
    it('and cannot without a terminal, which is told with the ways out', async () => {
      const { stderr } = await the.rkt.fails(
        ['--debug', 'trust', '--prefix=example.com', file],
        'error reviewing key',
        {
          input: 'yes\n',
        },
      );
      assert.match(stderr, /unable to ask user to review fingerprint due to lack of tty/);
      assert.match(stderr, /--trust-keys-from-https/);
      assert.match(stderr, /rkt trust --prefix "example\.com"/);
      nothingTrusted();
    });
  });

  describe('from servers', () => {
    let server: ImageServer;
    beforeEach(async () => {
      server = await startImageServer();
    });
    afterEach(() => server.close());

    it('takes keys over http when told to', async () => {
      const url = server.serve('/key.asc', { body: gpg.exportKey(key) });
      await the.rkt.ok(['trust', '--root', SKIP, '--insecure-allow-http', url]);
      assert.ok(isTrusted('root.d'));
    });
    it('wants status 200', async () => {
      for (const [path, status] of [
        ['/missing', 404],
        ['/error', 500],
        ['/other', 206],
      ] as const) {
        const url = server.serve(path, { status, body: gpg.exportKey(key) });
        await the.rkt.fails(
          ['trust', '--root', SKIP, '--insecure-allow-http', url],
          `trust: error adding keys: bad HTTP status code: ${status}`,
        );
      }
      nothingTrusted();
    });
    it('takes keys over https without asking when told to, and only those', async () => {
      await using tls = await startImageServer({ tls: true });
      const url = tls.serve('/key.asc', { body: gpg.exportKey(key) });
      await the.rkt.fails(['--trust-keys-from-https', 'trust', '--root', url], /certificate/);
      await the.rkt.fails(
        ['--trust-keys-from-https', '--insecure-options=tls', 'trust', '--root', url],
        /certificate/,
      );
      const insecure = '--insecure-options=tls,pubkey';
      await the.rkt.fails([insecure, 'trust', '--root', url], 'lack of tty');
      const { stdout } = await the.rkt.ok([insecure, '--trust-keys-from-https', 'trust', '--root', url]);
      assert.match(stdout, /Trusting "https:.*" for prefix "" without fingerprint review\./);
      // A file is not https, whatever came before it.
      writeFileSync(file, gpg.exportKey(otherKey));
      await the.rkt.fails([insecure, '--trust-keys-from-https', 'trust', '--root', url, file], 'lack of tty');
      assert.ok(isTrusted('root.d') && !isTrusted('root.d', otherKey));
    });
    it('does not follow https to http', async () => {
      await using tls = await startImageServer({ tls: true });
      const url = tls.serve('/key.asc', { redirect: server.serve('/key.asc', { body: gpg.exportKey(key) }) });
      await the.rkt.fails(
        ['--insecure-options=tls,pubkey', 'trust', '--root', '--insecure-allow-http', SKIP, url],
        'redirects from https to http',
      );
    });
    it('finds the keys a publisher offers for a prefix', async () => {
      server.serve('http://example.com/web', {
        body: '<meta name="ac-discovery-pubkeys" content="example.com http://example.com/keys.asc">',
      });
      server.serve('http://example.com/keys.asc', { body: gpg.exportKey(key) });
      const env = { http_proxy: server.url, https_proxy: server.url };
      const { stderr } = await the.rkt.ok(
        ['trust', '--prefix=example.com/web', SKIP, '--insecure-allow-http'],
        { env },
      );
      assert.ok(stderr.includes('key: "http://example.com/keys.asc"'), stderr);
      assert.ok(isTrusted('prefix.d/example.com/web'));
      await the.rkt.fails(
        ['trust', '--prefix=example.com/web', SKIP],
        /^trust: error determining key location: /m,
        { env },
      );
    });
    it('says when there are none', async () => {
      const env = { http_proxy: server.url, https_proxy: server.url };
      await the.rkt.fails(
        ['trust', '--prefix=example.com/web', SKIP, '--insecure-allow-http'],
        'trust: error determining key location: meta discovery on example.com/web resulted in no keys',
        { env },
      );
      await the.rkt.fails(['trust', '--root', SKIP], 'trust: error determining key location: empty prefix');
    });
  });
});
