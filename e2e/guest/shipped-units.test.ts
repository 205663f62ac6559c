// rkt installed as a package would install it, with the units that are shipped, on a machine with systemd. Changes the
// machine: for the guest alone.

import assert from 'node:assert/strict';
import { copyFileSync, cpSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { ApiClient } from '@rkt/testkit/api-client';

import { RKT_BIN, STAGE1_DIR } from '../lib/environment.ts';
import { inspectImage } from '../lib/images.ts';
import { eventually, execute } from '../lib/process.ts';
import { INSECURE } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';
import { ask, Units } from '../lib/units.ts';

const RKT = '/usr/bin/rkt';
const STAGE1_IMAGES = '/usr/lib/rkt/stage1-images';
/** Socket units and the timer, as somebody enables them. */
const ENABLED = ['rkt-gc.timer', 'rkt-metadata.socket', 'rkt-api.socket'];

suite('shipped units', ['root', 'busybox', 'systemd-host'], (the) => {
  const units = new Units();
  let image = '';

  const rkt = async (...words: readonly string[]): Promise<string> => (await ask(RKT, ...words)).trim();
  const stateOf = async (uuid: string): Promise<string> =>
    /^state=(.*)$/m.exec(await rkt('status', uuid))?.[1] ?? '';

  before(async () => {
    copyFileSync(RKT_BIN, RKT);
    mkdirSync(STAGE1_IMAGES, { recursive: true });
    copyFileSync(join(STAGE1_DIR, 'stage1-nspawn.aci'), join(STAGE1_IMAGES, 'stage1-nspawn.aci'));
    const shipped = join(dirname(RKT_BIN), 'units');
    cpSync(join(shipped, 'system'), '/usr/lib/systemd/system', { recursive: true });
    cpSync(join(shipped, 'sysusers.d'), '/usr/lib/sysusers.d', { recursive: true });
    cpSync(join(shipped, 'tmpfiles.d'), '/usr/lib/tmpfiles.d', { recursive: true });
    // What the package manager's triggers do.
    await ask('systemd-sysusers');
    await ask('systemd-tmpfiles', '--create', 'rkt.conf');
    await ask('systemctl', 'daemon-reload');
    await ask('systemctl', 'enable', '--now', ...ENABLED);
    image = inspectImage(the.rkt);
  });

  after(async () => {
    await execute('systemctl', ['disable', '--now', ...ENABLED]);
    await execute('systemctl', ['stop', 'rkt-api.service', 'rkt-metadata.service']);
    await rkt('gc', '--grace-period=0s');
  });

  it('make the groups, and directories that they may use', async () => {
    const groups = readFileSync('/etc/group', 'utf8');
    const gid = Number(/^rkt:x:(\d+):/m.exec(groups)?.[1]);
    assert.ok(gid > 0, groups);
    assert.match(groups, /^rkt-admin:x:\d+:/m);
    for (const [directory, mode] of [
      ['/var/lib/rkt', 0o2750],
      ['/var/lib/rkt/cas/db', 0o2770],
      ['/var/lib/rkt/pods', 0o2750],
    ] as const) {
      const found = statSync(directory);
      assert.deepEqual([found.uid, found.gid, found.mode & 0o7777], [0, gid, mode], directory);
    }
    // What root has made before does not keep members out, nor the other way round.
    await rkt(INSECURE, 'fetch', image);
    const asMember = ['--reuid=65534', `--regid=65534`, `--groups=${gid}`, '--', RKT];
    const listed = await ask('setpriv', ...asMember, 'image', 'list', '--no-legend');
    assert.match(listed, /coreos\.com\/rkt-inspect/);
    await ask('setpriv', ...asMember, 'image', 'rm', 'coreos.com/rkt-inspect');
    await ask('setpriv', ...asMember, INSECURE, 'fetch', image);
    const stranger = await execute('setpriv', [
      '--reuid=65534',
      '--regid=65534',
      '--clear-groups',
      RKT,
      'image',
      'list',
    ]);
    assert.notEqual(stranger.status, 0, stranger.output);
  });

  it('collect garbage, when the timer says so', async () => {
    assert.equal(await units.property('rkt-gc.timer', 'ActiveState'), 'active');
    assert.match(await ask('systemctl', 'list-timers', '--no-pager', 'rkt-gc.timer'), /rkt-gc\.service/);
    const file = the.rkt.tmp.join('garbage');
    await rkt(INSECURE, 'run', '--net=none', `--uuid-file-save=${file}`, image, '--exec=/bin/true');
    const uuid = readFileSync(file, 'utf8');
    assert.equal(await stateOf(uuid), 'exited');
    await ask('systemctl', 'start', 'rkt-gc.service');
    assert.equal(await stateOf(uuid), 'exited garbage');
    assert.equal(await units.property('rkt-gc.service', 'Result'), 'success');
  });

  it('serve the API at the first connection', async () => {
    assert.equal(await units.property('rkt-api.service', 'ActiveState'), 'inactive');
    using client = await ApiClient.connect('127.0.0.1:15441');
    const { info } = await client.call<{ info: { global_flags: { dir: string } } }>('GetInfo');
    assert.equal(info.global_flags.dir, '/var/lib/rkt');
    const { images } = await client.call<{ images: readonly { name: string }[] }>('ListImages');
    assert.ok(images.some(({ name }) => name === 'coreos.com/rkt-inspect'));
    assert.equal(await units.property('rkt-api.service', 'ActiveState'), 'active');
  });

  it('serve metadata to pods', async () => {
    const script = 'echo uuid=$(wget -q -O - $AC_METADATA_URL/acMetadata/v1/pod/uuid 2>&1)';
    const file = the.rkt.tmp.join('asking');
    const flags = [INSECURE, '--net=default', '--mds-register', `--uuid-file-save=${file}`];
    const said = await rkt('run', ...flags, image, '--exec=/bin/sh', '--', '-c', script);
    assert.match(said, new RegExp(`uuid=${readFileSync(file, 'utf8')}`));
    assert.equal(await units.property('rkt-metadata.service', 'ActiveState'), 'active');
  });

  it('run a pod as rkt@NAME.service', async () => {
    const unit = 'rkt@e2e.service';
    const script = the.rkt.tmp.join('script');
    writeFileSync(script, 'trap "echo told; exit 0" TERM\necho waiting\nsleep 1000 & wait\n');
    const volume = `--volume=script,kind=host,source=${script},readOnly=true --mount=volume=script,target=/script`;
    writeFileSync(
      '/etc/default/rkt-e2e',
      `RUN=${INSECURE} --net=none ${volume} ${image} --exec=/bin/sh -- /script\n`,
    );
    await ask('systemctl', 'start', unit);
    assert.equal(await units.property(unit, 'ActiveState'), 'active');
    await eventually('the app waits', async () => (await units.journal(unit)).includes('waiting'));
    const [uuid = ''] =
      (await rkt('list', '--full', '--no-legend')).match(/^[0-9a-f-]{36}(?=.*\brunning\b)/m) ?? [];
    const cgroup = (await units.property(unit, 'ControlGroup')).slice(1);
    assert.match(cgroup, /^machine\.slice\/rkt@e2e\.service$/);
    assert.equal(readFileSync(`/var/lib/rkt/pods/run/${uuid}/subcgroup`, 'utf8'), `${cgroup}/payload`);
    assert.match(await ask('machinectl', 'list', '--no-legend'), new RegExp(`rkt-${uuid}`));

    await ask('systemctl', 'stop', unit);
    assert.equal(await units.property(unit, 'Result'), 'success');
    assert.match(await units.journal(unit), /told/);
    // The unit has marked it.
    assert.equal(await stateOf(uuid), 'exited garbage');
  });
});
