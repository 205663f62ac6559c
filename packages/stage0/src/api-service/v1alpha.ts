// The messages and methods of rkt's API, package v1alpha, as contract stage1 7.2 and 7.3 number them. Pure. Runs in
// stage0. api.proto says the same for people who generate clients; a test compares the two.

import {
  bool,
  bytes,
  type EnumType,
  integer32,
  integer64,
  many,
  manyOf,
  message,
  type MessageType,
  one,
  oneOf,
  signed32,
  text,
  texts,
} from './message.ts';
import { type Method, method, type Service } from './service.ts';

export const IMAGE_TYPE = {
  IMAGE_TYPE_UNDEFINED: 0,
  IMAGE_TYPE_APPC: 1,
  IMAGE_TYPE_DOCKER: 2,
  IMAGE_TYPE_OCI: 3,
} as const;

export const APP_STATE = { APP_STATE_UNDEFINED: 0, APP_STATE_RUNNING: 1, APP_STATE_EXITED: 2 } as const;

export const POD_STATE = {
  POD_STATE_UNDEFINED: 0,
  POD_STATE_EMBRYO: 1,
  POD_STATE_PREPARING: 2,
  POD_STATE_PREPARED: 3,
  POD_STATE_RUNNING: 4,
  POD_STATE_ABORTED_PREPARE: 5,
  POD_STATE_EXITED: 6,
  POD_STATE_DELETING: 7,
  POD_STATE_GARBAGE: 8,
} as const;

export const EVENT_TYPE = {
  EVENT_TYPE_UNDEFINED: 0,
  EVENT_TYPE_POD_PREPARED: 1,
  EVENT_TYPE_POD_PREPARE_ABORTED: 2,
  EVENT_TYPE_POD_STARTED: 3,
  EVENT_TYPE_POD_EXITED: 4,
  EVENT_TYPE_POD_GARBAGE_COLLECTED: 5,
  EVENT_TYPE_APP_STARTED: 6,
  EVENT_TYPE_APP_EXITED: 7,
  EVENT_TYPE_IMAGE_IMPORTED: 8,
  EVENT_TYPE_IMAGE_REMOVED: 9,
} as const;

const ImageType: EnumType = { name: 'ImageType', values: IMAGE_TYPE };
const AppState: EnumType = { name: 'AppState', values: APP_STATE };
const PodState: EnumType = { name: 'PodState', values: POD_STATE };
const EventType: EnumType = { name: 'EventType', values: EVENT_TYPE };

export interface KeyValue {
  readonly Key: string;
  readonly value: string;
}
export const KeyValue: MessageType<KeyValue> = message('KeyValue', { Key: text(1), value: text(2) });

export interface ImageFormat {
  readonly type: number;
  readonly version: string;
}
export const ImageFormat: MessageType<ImageFormat> = message('ImageFormat', {
  type: oneOf(1, ImageType),
  version: text(2),
});

export interface Image {
  readonly base_format: ImageFormat | undefined;
  readonly id: string;
  readonly name: string;
  readonly version: string;
  /** Seconds since 1970. */
  readonly import_timestamp: bigint;
  readonly manifest: Buffer;
  /** Bytes. */
  readonly size: bigint;
  readonly annotations: readonly KeyValue[];
  readonly labels: readonly KeyValue[];
}
export const Image: MessageType<Image> = message('Image', {
  base_format: one(1, ImageFormat),
  id: text(2),
  name: text(3),
  version: text(4),
  import_timestamp: integer64(5),
  manifest: bytes(6),
  size: integer64(7),
  annotations: many(8, KeyValue),
  labels: many(9, KeyValue),
});

export interface Network {
  readonly name: string;
  readonly ipv4: string;
  readonly ipv6: string;
}
export const Network: MessageType<Network> = message('Network', {
  name: text(1),
  ipv4: text(2),
  ipv6: text(3),
});

export interface App {
  readonly name: string;
  readonly image: Image | undefined;
  readonly state: number;
  readonly exit_code: number;
  readonly annotations: readonly KeyValue[];
}
export const App: MessageType<App> = message('App', {
  name: text(1),
  image: one(2, Image),
  state: oneOf(3, AppState),
  exit_code: signed32(4),
  annotations: many(5, KeyValue),
});

/** Times are nanoseconds since 1970, 0 when unknown. */
export interface Pod {
  readonly id: string;
  readonly pid: number;
  readonly state: number;
  readonly apps: readonly App[];
  readonly networks: readonly Network[];
  readonly manifest: Buffer;
  readonly annotations: readonly KeyValue[];
  readonly cgroup: string;
  readonly created_at: bigint;
  readonly started_at: bigint;
  readonly gc_marked_at: bigint;
}
export const Pod: MessageType<Pod> = message('Pod', {
  id: text(1),
  pid: signed32(2),
  state: oneOf(3, PodState),
  apps: many(4, App),
  networks: many(5, Network),
  manifest: bytes(6),
  annotations: many(7, KeyValue),
  cgroup: text(8),
  created_at: integer64(9),
  started_at: integer64(10),
  gc_marked_at: integer64(11),
});

export interface PodFilter {
  readonly ids: readonly string[];
  readonly states: readonly number[];
  readonly app_names: readonly string[];
  readonly image_ids: readonly string[];
  readonly network_names: readonly string[];
  readonly annotations: readonly KeyValue[];
  readonly cgroups: readonly string[];
  readonly pod_sub_cgroups: readonly string[];
}
export const PodFilter: MessageType<PodFilter> = message('PodFilter', {
  ids: texts(1),
  states: manyOf(2, PodState),
  app_names: texts(3),
  image_ids: texts(4),
  network_names: texts(5),
  annotations: many(6, KeyValue),
  cgroups: texts(7),
  pod_sub_cgroups: texts(8),
});

export interface ImageFilter {
  readonly ids: readonly string[];
  readonly prefixes: readonly string[];
  readonly base_names: readonly string[];
  readonly keywords: readonly string[];
  readonly labels: readonly KeyValue[];
  readonly imported_after: bigint;
  readonly imported_before: bigint;
  readonly annotations: readonly KeyValue[];
  readonly full_names: readonly string[];
}
export const ImageFilter: MessageType<ImageFilter> = message('ImageFilter', {
  ids: texts(1),
  prefixes: texts(2),
  base_names: texts(3),
  keywords: texts(4),
  labels: many(5, KeyValue),
  imported_after: integer64(6),
  imported_before: integer64(7),
  annotations: many(8, KeyValue),
  full_names: texts(9),
});

export interface GlobalFlags {
  readonly dir: string;
  readonly system_config_dir: string;
  readonly local_config_dir: string;
  readonly user_config_dir: string;
  readonly insecure_flags: string;
  readonly trust_keys_from_https: boolean;
}
export const GlobalFlags: MessageType<GlobalFlags> = message('GlobalFlags', {
  dir: text(1),
  system_config_dir: text(2),
  local_config_dir: text(3),
  user_config_dir: text(4),
  insecure_flags: text(5),
  trust_keys_from_https: bool(6),
});

export interface Info {
  readonly rkt_version: string;
  readonly appc_version: string;
  readonly api_version: string;
  readonly global_flags: GlobalFlags | undefined;
}
export const Info: MessageType<Info> = message('Info', {
  rkt_version: text(1),
  appc_version: text(2),
  api_version: text(3),
  global_flags: one(4, GlobalFlags),
});

export interface Event {
  readonly type: number;
  readonly id: string;
  readonly from: string;
  readonly time: bigint;
  readonly data: readonly KeyValue[];
}
export const Event: MessageType<Event> = message('Event', {
  type: oneOf(1, EventType),
  id: text(2),
  from: text(3),
  time: integer64(4),
  data: many(5, KeyValue),
});

export interface EventFilter {
  readonly types: readonly number[];
  readonly ids: readonly string[];
  readonly names: readonly string[];
  readonly since_time: bigint;
  readonly until_time: bigint;
}
export const EventFilter: MessageType<EventFilter> = message('EventFilter', {
  types: manyOf(1, EventType),
  ids: texts(2),
  names: texts(3),
  since_time: integer64(4),
  until_time: integer64(5),
});

export interface GetLogsRequest {
  readonly pod_id: string;
  readonly app_name: string;
  readonly lines: number;
  readonly follow: boolean;
  /** Seconds since 1970. */
  readonly since_time: bigint;
  readonly until_time: bigint;
}

type Empty = Readonly<Record<never, never>>;
type ListRequest<Filter> = { readonly filters: readonly Filter[]; readonly detail: boolean };

const listRequest = <Filter>(name: string, filter: MessageType<Filter>): MessageType<ListRequest<Filter>> =>
  message(name, { filters: many(1, filter), detail: bool(2) });
const empty = (name: string): MessageType<Empty> => message<Empty>(name, {});
const inspectRequest = (name: string): MessageType<{ readonly id: string }> => message(name, { id: text(1) });

/** Methods by name. */
export const METHODS: {
  readonly GetInfo: Method<Empty, { readonly info: Info | undefined }>;
  readonly ListPods: Method<ListRequest<PodFilter>, { readonly pods: readonly Pod[] }>;
  readonly InspectPod: Method<{ readonly id: string }, { readonly pod: Pod | undefined }>;
  readonly ListImages: Method<ListRequest<ImageFilter>, { readonly images: readonly Image[] }>;
  readonly InspectImage: Method<{ readonly id: string }, { readonly image: Image | undefined }>;
  readonly ListenEvents: Method<
    { readonly filter: EventFilter | undefined },
    { readonly events: readonly Event[] }
  >;
  readonly GetLogs: Method<GetLogsRequest, { readonly lines: readonly string[] }>;
} = {
  GetInfo: method(empty('GetInfoRequest'), message('GetInfoResponse', { info: one(1, Info) })),
  ListPods: method(
    listRequest('ListPodsRequest', PodFilter),
    message('ListPodsResponse', { pods: many(1, Pod) }),
  ),
  InspectPod: method(
    inspectRequest('InspectPodRequest'),
    message('InspectPodResponse', { pod: one(1, Pod) }),
  ),
  ListImages: method(
    listRequest('ListImagesRequest', ImageFilter),
    message('ListImagesResponse', { images: many(1, Image) }),
  ),
  InspectImage: method(
    inspectRequest('InspectImageRequest'),
    message('InspectImageResponse', { image: one(1, Image) }),
  ),
  ListenEvents: method(
    message('ListenEventsRequest', { filter: one(1, EventFilter) }),
    message('ListenEventsResponse', { events: many(1, Event) }),
    { streams: true },
  ),
  GetLogs: method(
    message('GetLogsRequest', {
      pod_id: text(1),
      app_name: text(2),
      lines: integer32(3),
      follow: bool(4),
      since_time: integer64(5),
      until_time: integer64(6),
    }),
    message('GetLogsResponse', { lines: texts(1) }),
    { streams: true },
  ),
};

export const PUBLIC_API: Service = {
  package: 'v1alpha',
  file: 'api.proto',
  name: 'PublicAPI',
  methods: METHODS,
};
