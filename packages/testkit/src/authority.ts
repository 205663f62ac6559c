// A certification authority for one test, and the certificates it gives out: good ones and bad ones. Needs openssl(1).

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

import { TempDir } from './tmp.ts';

/** Key and certificate of a server, in PEM form. */
export interface ServerIdentity {
  readonly key: string;
  readonly cert: string;
}

/** What is wrong with a certificate, if anything. */
export interface IdentityOptions {
  /** DNS names and addresses it is for. */
  readonly names: readonly string[];
  readonly expired?: boolean;
  /** Signed by its own key rather than by the authority. */
  readonly selfSigned?: boolean;
}

/** An authority that nobody trusts until a test says so, e.g. by SSL_CERT_FILE. */
export interface Authority extends Disposable {
  /** File with its certificate. */
  readonly file: string;
  readonly certificate: string;
  issue(options: IdentityOptions): ServerIdentity;
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** Makes an authority; its files are there until it is disposed of. */
export function makeAuthority(name = 'test authority'): Authority {
  const tmp = new TempDir('authority');
  const [key, file] = [tmp.join('ca.key'), tmp.join('ca.crt')];
  openssl('req', '-x509', ...KEY, '-days', '2', '-subj', `/CN=${name}`, '-keyout', key, '-out', file);
  writeFileSync(tmp.join('index.txt'), '');
  writeFileSync(tmp.join('ca.cnf'), CONFIGURATION);
  let serial = 0;
  return {
    file,
    certificate: readFileSync(file, 'utf8'),
    issue: ({ names, expired = false, selfSigned = false }) => {
      serial += 1;
      const at = (extension: string): string => tmp.join(`${serial}.${extension}`);
      const alternatives = names.map((each) => (/^[\d.]+$|:/.test(each) ? `IP:${each}` : `DNS:${each}`));
      writeFileSync(at('ext'), `subjectAltName=${alternatives.join(',')}\n`);
      openssl('req', '-new', ...KEY, '-subj', `/CN=${names[0]}`, '-keyout', at('key'), '-out', at('csr'));
      const signer = selfSigned ? ['-selfsign', '-keyfile', at('key')] : ['-keyfile', key, '-cert', file];
      const dates = expired
        ? ['-startdate', '20200101000000Z', '-enddate', '20200102000000Z']
        : ['-days', '2'];
      const output = ['-in', at('csr'), '-out', at('crt'), '-notext', '-extfile', at('ext')];
      openssl('ca', '-batch', '-config', tmp.join('ca.cnf'), ...signer, ...dates, ...output, {
        cwd: tmp.path,
      });
      return { key: readFileSync(at('key'), 'utf8'), cert: readFileSync(at('crt'), 'utf8') };
    },
    [Symbol.dispose]: () => tmp.remove(),
  };
}

const CONFIGURATION = `
[ca]
default_ca = main
[main]
database = index.txt
new_certs_dir = .
default_md = sha256
policy = any
unique_subject = no
rand_serial = yes
[any]
commonName = supplied
`;

function openssl(...words: readonly (string | { readonly cwd: string })[]): void {
  const args = words.filter((word) => typeof word === 'string');
  const options = words.find((word) => typeof word !== 'string');
  const { status, stderr, error } = spawnSync('openssl', args, options ?? {});
  if (status !== 0) throw new Error(`openssl failed: ${error?.message ?? stderr.toString()}`);
}
