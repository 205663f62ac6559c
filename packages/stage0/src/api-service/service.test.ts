// Every method and filter of the API, as a client sees them over loopback (contract stage1 7).

import assert from 'node:assert/strict';
import { mkdirSync, rmSync, statSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { connect, type Server } from 'node:net';

import { createLogger } from '@rkt/diagnostics/logger';
import { dataDir } from '@rkt/pod-layout/data-dir';
import { appImageManifestFile, podManifestFile, subcgroupFile } from '@rkt/pod-layout/pod-paths';
import { ApiClient } from '@rkt/testkit/api-client';
import { buildPod, lockPod } from '@rkt/testkit/pod-builder';
import { TestStore } from '../store/testing/test-store.ts';
import { type ApiServer, createApiServer } from './server.ts';
import { listenOn } from './sockets.ts';

interface KeyValueJson {
  readonly Key: string;
  readonly value: string;
}
interface ImageJson {
  readonly base_format: { readonly type: string; readonly version: string };
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly import_timestamp: string;
  readonly manifest: Buffer;
  readonly size: string;
  readonly annotations: readonly KeyValueJson[];
  readonly labels: readonly KeyValueJson[];
}
interface PodJson {
  readonly id: string;
  readonly pid: number;
  readonly state: string;
  readonly apps: readonly {
    readonly name: string;
    readonly image: ImageJson | null;
    readonly state: string;
    readonly exit_code: number;
    readonly annotations: readonly KeyValueJson[];
  }[];
  readonly networks: readonly { readonly name: string; readonly ipv4: string }[];
  readonly manifest: Buffer;
  readonly annotations: readonly KeyValueJson[];
  readonly cgroup: string;
  readonly created_at: string;
  readonly started_at: string;
  readonly gc_marked_at: string;
}

const INFO = {
  rkt_version: '2.0.0',
  appc_version: '0.8.11',
  api_version: '1.0.0-alpha',
  global_flags: {
    dir: '/d',
    system_config_dir: '/s',
    local_config_dir: '/l',
    user_config_dir: '',
    insecure_flags: 'none',
    trust_keys_from_https: true,
  },
};

const NETWORK = {
  netName: 'default',
  netConf: '',
  pluginPath: '',
  ifName: 'eth0',
  ip: '172.16.28.2',
  args: '',
  mask: '',
};

describe('the API service', () => {
  let the: TestStore;
  let api: ApiServer;
  let servers: readonly Server[];
  let address: string;
  let client: ApiClient;
  const end = new AbortController();

  before(async () => {
    the = new TestStore();
    const logger = createLogger({ prefix: 'test', write: () => undefined });
    api = createApiServer({ data: dataDir(the.data), info: INFO, logger, signal: end.signal });
    ({ servers, where: address } = await listenOn('127.0.0.1:0', api.accept));
    client = await ApiClient.connect(address);
  });
  after(async () => {
    client.close();
    for (const server of servers) server.close();
    end.abort();
    await api.stop();
    the[Symbol.dispose]();
  });

  const listPods = async (filters: readonly object[] = [], detail = false): Promise<readonly PodJson[]> =>
    (await client.call<{ pods: readonly PodJson[] }>('ListPods', { filters, detail })).pods;
  const inspect = async (id: string): Promise<PodJson> =>
    (await client.call<{ pod: PodJson }>('InspectPod', { id })).pod;
  const listImages = async (filters: readonly object[] = [], detail = false): Promise<readonly ImageJson[]> =>
    (await client.call<{ images: readonly ImageJson[] }>('ListImages', { filters, detail })).images;

  it('GetInfo tells about this rkt', async () => {
    assert.deepEqual(await client.call('GetInfo'), { info: INFO });
  });
  it('ListenEvents is not implemented', async () => {
    await assert.rejects(
      client.stream('ListenEvents', {}, () => undefined),
      { code: 12, details: 'not implemented yet' },
    );
  });
  it('reflects all services, in both versions of reflection', async () => {
    assert.deepEqual(await client.services(), [
      'v1alpha.PublicAPI',
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
    ]);
    for (const name of ['grpc.reflection.v1.ServerReflection', 'grpc.reflection.v1alpha.ServerReflection']) {
      using reflected = await ApiClient.connect(address, name);
      assert.ok(reflected);
    }
    await assert.rejects(ApiClient.connect(address, 'v1alpha.Nope'), /not served.*not known/s);
  });
  it('is healthy', async () => {
    using health = await ApiClient.connect(address, 'grpc.health.v1.Health');
    assert.deepEqual(await health.call('Check'), { status: 'SERVING' });
    assert.deepEqual(await health.call('Check', { service: 'v1alpha.PublicAPI' }), { status: 'SERVING' });
    await assert.rejects(health.call('Check', { service: 'other' }), { code: 5 });
    const seen: unknown[] = [];
    await health.stream('Watch', { service: 'other' }, (response) => seen.push(response) > 0);
    assert.deepEqual(seen, [{ status: 'SERVICE_UNKNOWN' }]);
  });

  describe('pods', () => {
    const locks: { release(): Promise<void> }[] = [];
    const uuids: Record<string, string> = {};
    const created = new Date('2026-01-02T03:04:05.678Z');
    const started = new Date('2026-01-02T03:05:00Z');
    const build = async (
      name: string,
      description: Parameters<typeof buildPod>[1],
      locked = false,
    ): Promise<string> => {
      const pod = buildPod(the.data, { createdAt: created, ...description });
      if (locked) locks.push(await lockPod(pod.dir));
      uuids[name] = pod.uuid;
      return pod.dir;
    };
    before(async () => {
      await build('preparing', { directory: 'prepare' }, true);
      await build('aborted', { directory: 'prepare', manifest: null });
      await build('prepared', { directory: 'prepared', apps: [{ name: 'web', imageKey: 'sha512-aa' }] });
      const dir = await build(
        'running',
        {
          directory: 'run',
          startedAt: started,
          pid: process.pid,
          networks: [NETWORK],
          apps: [{ name: 'web', imageKey: 'sha512-aa', version: '' }, { name: 'db' }],
          manifest: {
            acVersion: '0.8.11',
            acKind: 'PodManifest',
            apps: [
              {
                name: 'web',
                image: { id: 'sha512-aa' },
                annotations: [{ name: 'app-note', value: 'x' }],
              },
              { name: 'db', image: { id: 'sha512-bb' } },
            ],
            annotations: [
              { name: 'owner', value: 'me' },
              { name: 'b', value: 'c' },
            ],
          },
        },
        true,
      );
      writeFileSync(subcgroupFile(dir as never), '/machine.slice/pod-1.scope');
      await build('exited', {
        directory: 'run',
        startedAt: started,
        networks: [{ ...NETWORK, netName: 'other' }],
        apps: [{ name: 'web', exitStatus: 7 }, { name: 'db' }],
      });
      await build('garbage', { directory: 'exited-garbage', startedAt: started, networks: [NETWORK] });
      await build('deleting', { directory: 'exited-garbage', startedAt: started }, true);
      await build('broken', { directory: 'prepared', manifest: '{' });
      const half = await build('half', { directory: 'prepared', apps: [{ name: 'web' }] });
      unlinkSync(appImageManifestFile(half as never, 'web'));
      await build('embryo', { directory: 'embryo' });
      await build('gone', { directory: 'garbage' });
    });
    after(async () => {
      for (const lock of locks) await lock.release();
    });
    const names = (pods: readonly PodJson[]): string[] =>
      pods.map(({ id }) => Object.keys(uuids).find((name) => uuids[name] === id) ?? id).sort();
    const uuid = (name: string): string => uuids[name] ?? '';

    it('ListPods lists those that are prepared, run or have exited, by UUID, without manifests', async () => {
      for (const _again of [1, 2]) {
        const pods = await listPods();
        assert.deepEqual(
          Object.fromEntries(pods.map(({ id, state }) => [names([{ id } as PodJson])[0], state])),
          {
            preparing: 'POD_STATE_PREPARING',
            aborted: 'POD_STATE_ABORTED_PREPARE',
            prepared: 'POD_STATE_PREPARED',
            running: 'POD_STATE_RUNNING',
            exited: 'POD_STATE_EXITED',
            garbage: 'POD_STATE_GARBAGE',
            deleting: 'POD_STATE_UNDEFINED',
            broken: 'POD_STATE_PREPARED',
            half: 'POD_STATE_PREPARED',
          },
        );
        assert.deepEqual(
          pods.map(({ id }) => id),
          pods.map(({ id }) => id).sort(),
        );
        assert.ok(pods.every(({ manifest }) => manifest.length === 0));
      }
    });
    it('ListPods gives manifests with detail', async () => {
      const pods = await listPods([], true);
      const prepared = pods.find(({ id }) => id === uuid('prepared'));
      assert.equal((JSON.parse(String(prepared?.manifest)) as { acKind: string }).acKind, 'PodManifest');
    });
    it('InspectPod tells all of a running pod, by the start of its UUID', async () => {
      const pod = await inspect(uuid('running').slice(0, 20).toUpperCase());
      const image = {
        base_format: { type: 'IMAGE_TYPE_APPC', version: '0.8.11' },
        import_timestamp: '0',
        manifest: Buffer.alloc(0),
        size: '0',
        annotations: [],
        labels: [],
      };
      const { manifest, ...rest } = pod;
      assert.equal((JSON.parse(manifest.toString()) as { apps: unknown[] }).apps.length, 2);
      assert.deepEqual(rest, {
        id: uuid('running'),
        pid: process.pid,
        state: 'POD_STATE_RUNNING',
        apps: [
          {
            name: 'web',
            image: { ...image, id: 'sha512-aa', name: 'example.com/web', version: 'latest' },
            state: 'APP_STATE_RUNNING',
            exit_code: 0,
            annotations: [{ Key: 'app-note', value: 'x' }],
          },
          {
            name: 'db',
            image: { ...image, id: 'sha512-bb', name: 'example.com/db', version: '1.0.0' },
            state: 'APP_STATE_RUNNING',
            exit_code: 0,
            annotations: [],
          },
        ],
        networks: [{ name: 'default', ipv4: '172.16.28.2', ipv6: '' }],
        annotations: [
          { Key: 'owner', value: 'me' },
          { Key: 'b', value: 'c' },
        ],
        cgroup: '/machine.slice/pod-1.scope',
        created_at: '1767323045678000000',
        started_at: '1767323100000000000',
        gc_marked_at: '0',
      });
    });
    it('InspectPod tells exit codes and networks of an exited pod, but no control group', async () => {
      const pod = await inspect(uuid('exited'));
      assert.deepEqual(
        pod.apps.map(({ name, state, exit_code }) => [name, state, exit_code]),
        [
          ['web', 'APP_STATE_EXITED', 7],
          ['db', 'APP_STATE_EXITED', 0],
        ],
      );
      assert.deepEqual([pod.networks[0]?.name, pod.cgroup, pod.pid], ['other', '', 999_999]);
    });
    it('InspectPod tells when gc marked a pod, and no networks of it', async () => {
      const pod = await inspect(uuid('garbage'));
      const { ctimeMs } = statSync(`${the.data}/pods/exited-garbage/${uuid('garbage')}`);
      assert.equal(pod.gc_marked_at, `${Math.round(ctimeMs * 1000)}000`);
      assert.deepEqual(pod.networks, []);
    });
    it('InspectPod of a pod that has not run, is being deleted or is broken', async () => {
      const prepared = await inspect(uuid('prepared'));
      assert.deepEqual([prepared.pid, prepared.started_at, prepared.apps[0]?.exit_code], [-1, '0', -1]);
      assert.equal(prepared.apps[0]?.state, 'APP_STATE_UNDEFINED');
      const deleting = await inspect(uuid('deleting'));
      assert.deepEqual([deleting.state, deleting.pid, deleting.started_at], ['POD_STATE_UNDEFINED', -1, '0']);
      const broken = await inspect(uuid('broken'));
      assert.deepEqual([broken.apps, broken.manifest.toString(), broken.created_at], [[], '{', '0']);
      const half = await inspect(uuid('half'));
      assert.deepEqual([half.apps[0]?.name, half.apps[0]?.image], ['web', null]);
    });
    it('InspectPod of no pod is an error', async () => {
      await assert.rejects(inspect('00000000-0000'), {
        code: 5,
        details: 'no matches found for "00000000-0000"',
      });
      await assert.rejects(inspect(''), { code: 3, details: 'UUID cannot be empty' });
      await assert.rejects(inspect('../../etc'), { code: 5 });
    });
    it('sees a manifest that changed, and a pod that ended', async () => {
      const dir = await build('living', { directory: 'run', startedAt: started });
      const lock = await lockPod(dir);
      assert.equal((await inspect(uuid('living'))).state, 'POD_STATE_RUNNING');
      writeFileSync(podManifestFile(dir as never), '{"apps":[],"annotations":[{"name":"n","value":"v"}]}');
      utimesSync(podManifestFile(dir as never), 1, 1);
      await lock.release();
      const [pod] = await listPods([{ ids: [uuid('living')] }]);
      assert.deepEqual(
        [pod?.state, pod?.apps, pod?.annotations],
        ['POD_STATE_EXITED', [], [{ Key: 'n', value: 'v' }]],
      );
      rmSync(dir, { recursive: true });
      assert.deepEqual(await listPods([{ ids: [uuid('living')] }]), []);
      delete uuids['living'];
    });
    it('finds the control group of a pod that recorded none where its init is', async () => {
      const dir = await build('bare', { directory: 'run', startedAt: started });
      const lock = await lockPod(dir);
      writeFileSync(`${dir}/pid`, `${lock.pid}\n`);
      const { cgroup } = await inspect(uuid('bare'));
      await lock.release();
      assert.match(cgroup, /^\//);
      rmSync(dir, { recursive: true });
      delete uuids['bare'];
    });

    const filters: readonly (readonly [string, () => object[], string[]])[] = [
      ['ids: any', () => [{ ids: [uuid('exited'), uuid('prepared')] }], ['exited', 'prepared']],
      ['ids: whole ones', () => [{ ids: [uuid('exited').slice(0, 8)] }], []],
      ['states: any', () => [{ states: ['POD_STATE_RUNNING', 'POD_STATE_EXITED'] }], ['exited', 'running']],
      ['app_names: all', () => [{ app_names: ['web', 'db'] }], ['exited', 'running']],
      ['image_ids: all', () => [{ image_ids: ['sha512-aa'] }], ['prepared', 'running']],
      ['image_ids: all of several', () => [{ image_ids: ['sha512-aa', 'sha512-bb'] }], ['running']],
      ['network_names: all', () => [{ network_names: ['default'] }], ['running']],
      ['network_names: not some', () => [{ network_names: ['default', 'other'] }], []],
      ['annotations: key and value', () => [{ annotations: [{ Key: 'owner', value: 'me' }] }], ['running']],
      ['annotations: another value', () => [{ annotations: [{ Key: 'owner', value: 'you' }] }], []],
      [
        'annotations: all',
        () => [
          {
            annotations: [
              { Key: 'owner', value: 'me' },
              { Key: 'b', value: '' },
            ],
          },
        ],
        [],
      ],
      ['cgroups: exact, any', () => [{ cgroups: ['/x', '/machine.slice/pod-1.scope'] }], ['running']],
      ['cgroups: not a part', () => [{ cgroups: ['/machine.slice'] }], []],
      [
        'pod_sub_cgroups: below the pod',
        () => [{ pod_sub_cgroups: ['/machine.slice/pod-1.scope/system.slice/web.service'] }],
        ['running'],
      ],
      ['pod_sub_cgroups: not above', () => [{ pod_sub_cgroups: ['/machine.slice'] }], []],
      [
        'conditions of one filter: all',
        () => [{ states: ['POD_STATE_EXITED'], app_names: ['web'], ids: [uuid('exited'), uuid('running')] }],
        ['exited'],
      ],
      [
        'conditions that exclude each other',
        () => [{ states: ['POD_STATE_PREPARED'], app_names: ['db'] }],
        [],
      ],
      [
        'several filters: any',
        () => [{ ids: [uuid('exited')] }, { network_names: ['default'] }],
        ['exited', 'running'],
      ],
    ];
    for (const [what, make, expected] of filters) {
      it(`filters by ${what}`, async () => assert.deepEqual(names(await listPods(make())), expected));
    }
    it('refuses filters without end', async () => {
      await assert.rejects(listPods(Array.from({ length: 1001 }, () => ({}))), { code: 3 });
    });
    it('refuses a request of more than a MiB', async () => {
      await assert.rejects(listPods([{ ids: ['x'.repeat(1024 * 1024)] }]), { code: 8 });
    });
  });

  describe('images', () => {
    let first = '';
    let second = '';
    before(async () => {
      first = await the.add({
        name: 'example.com/team/web',
        version: '1.2.3',
        annotations: { homepage: 'https://example.com', note: 'n' },
      });
      second = await the.add({ name: 'example.com/db', version: '' });
    });
    const ids = async (...filters: object[]): Promise<string[]> =>
      (await listImages(filters)).map(({ name }) => name).sort();

    it('ListImages tells all but the manifest', async () => {
      const web = (await listImages()).find(({ id }) => id === first);
      const info = the.store.list().find(({ key }) => key === first);
      assert.deepEqual(web?.base_format, { type: 'IMAGE_TYPE_APPC', version: '0.8.11' });
      assert.deepEqual([web?.name, web?.version, web?.manifest.length], ['example.com/team/web', '1.2.3', 0]);
      assert.equal(web?.import_timestamp, String(Math.floor((info?.importTime ?? 0) / 1000)));
      assert.equal(web?.size, String(info?.sizeBytes));
      assert.deepEqual(web?.labels[0], { Key: 'version', value: '1.2.3' });
      assert.ok(web?.annotations.some(({ Key, value }) => Key === 'note' && value === 'n'));
    });
    it('counts the tree into the size', async () => {
      the.store.setTreeSize(second, 1000);
      const { image } = await client.call<{ image: ImageJson }>('InspectImage', { id: second });
      const info = the.store.list().find(({ key }) => key === second);
      assert.equal(image.size, String((info?.sizeBytes ?? 0) + 1000));
    });
    it('ListImages gives manifests with detail, InspectImage always', async () => {
      const text = the.store.readManifestText(second);
      assert.equal((await listImages([{ ids: [second] }], true))[0]?.manifest.toString(), text);
      const { image } = await client.call<{ image: ImageJson }>('InspectImage', { id: second });
      assert.deepEqual([image.manifest.toString(), image.version], [text, 'latest']);
    });
    it('InspectImage wants a whole ID', async () => {
      for (const id of [first.slice(0, 20), '', 'sha512-0', '../x']) {
        await assert.rejects(client.call('InspectImage', { id }), { code: 5 });
      }
    });
    it('leaves out images that cannot be read, and those that were removed', async () => {
      const key = await the.add({ name: 'example.com/gone' });
      assert.deepEqual(await ids({ base_names: ['gone'] }), ['example.com/gone']);
      the.store.remove(key);
      assert.deepEqual(await ids({ base_names: ['gone'] }), []);
    });

    const both = ['example.com/db', 'example.com/team/web'];
    const [db, web] = [['example.com/db'], ['example.com/team/web']];
    const filters: readonly (readonly [string, () => object[], string[]])[] = [
      ['nothing', () => [], both],
      ['ids: any', () => [{ ids: ['x', first] }], web],
      ['full_names: exact', () => [{ full_names: ['example.com/db', 'example.com/team'] }], db],
      ['prefixes: any', () => [{ prefixes: ['example.com/t', 'nope'] }], web],
      ['base_names: the last element', () => [{ base_names: ['web'] }], web],
      ['base_names: not another', () => [{ base_names: ['team'] }], []],
      ['keywords: anywhere', () => [{ keywords: ['team'] }], web],
      ['labels: all', () => [{ labels: [{ Key: 'version', value: '1.2.3' }] }], web],
      [
        'labels: not some',
        () => [
          {
            labels: [
              { Key: 'version', value: '1.2.3' },
              { Key: 'os', value: 'plan9' },
            ],
          },
        ],
        [],
      ],
      ['annotations: all', () => [{ annotations: [{ Key: 'note', value: 'n' }] }], web],
      ['all conditions', () => [{ keywords: ['example'], base_names: ['db'] }], db],
      ['any filter', () => [{ ids: [first] }, { ids: [second] }], both],
    ];
    for (const [what, make, expected] of filters) {
      it(`filters by ${what}`, async () => assert.deepEqual(await ids(...make()), expected));
    }
    it('compares times strictly', async () => {
      const [image] = await listImages([{ ids: [first] }]);
      const at = image?.import_timestamp ?? '';
      const around = { imported_after: Number(at) - 1, imported_before: Number(at) + 1 };
      assert.deepEqual(await ids({ ids: [first], imported_after: at }), []);
      assert.deepEqual(await ids({ ids: [first], imported_before: at }), []);
      assert.deepEqual(await ids({ ids: [first], ...around }), web);
      assert.deepEqual(await ids({ ids: [first], imported_after: 0, imported_before: 0 }), web);
    });
  });

  describe('a hostile client', () => {
    it('that speaks no HTTP/2 is disconnected, and others are served', async () => {
      const port = Number(address.split(':').at(-1));
      const socket = connect(port, '127.0.0.1');
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.on('error', () => undefined);
      socket.resume();
      socket.write('GET / HTTP/1.1\r\n\r\n'.repeat(100));
      await closed;
      assert.deepEqual(await client.call('GetInfo'), { info: INFO });
    });
    it('that sends no message gets an error', async () => {
      const { Client, credentials } = await import('@grpc/grpc-js');
      const raw = new Client(address, credentials.createInsecure());
      const same = (bytes: Buffer): Buffer => bytes;
      const answer = new Promise((resolve) => {
        raw.makeUnaryRequest('/v1alpha.PublicAPI/ListPods', same, same, Buffer.from([0x0a, 0x7f]), (error) =>
          resolve(error?.code),
        );
      });
      assert.notEqual(await answer, undefined);
      raw.close();
    });
  });

  it('a pod directory that is a link or a file is none', async () => {
    mkdirSync(`${the.data}/pods/run`, { recursive: true });
    symlinkSync('/etc', `${the.data}/pods/run/11111111-1111-1111-1111-111111111111`);
    writeFileSync(`${the.data}/pods/run/22222222-2222-2222-2222-222222222222`, '');
    assert.ok((await listPods()).every(({ id }) => !/^[12]{8}-/.test(id)));
  });
});
