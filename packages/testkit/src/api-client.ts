// A client of rkt's API that knows nothing of it beforehand: it asks the service by reflection what there is. Runs in
// the test process.

import { Client, credentials, type ServiceError, type StatusObject } from '@grpc/grpc-js';
import {
  loadFileDescriptorSetFromBuffer,
  type MethodDefinition,
  type PackageDefinition,
} from '@grpc/proto-loader';

type Message = Readonly<Record<string, unknown>>;

const REFLECTION = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
const TIMEOUT_MS = 30_000;

/** Connected to one service. Enums are names, 64 bit numbers are text. */
export class ApiClient implements Disposable {
  readonly #client: Client;
  readonly #methods: PackageDefinition[string];

  private constructor(client: Client, methods: PackageDefinition[string]) {
    this.#client = client;
    this.#methods = methods;
  }

  /** Connects to HOST:PORT and learns about `service`. */
  static async connect(address: string, service = 'v1alpha.PublicAPI'): Promise<ApiClient> {
    const client = new Client(address, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.use_local_subchannel_pool': 1,
    });
    try {
      // file_containing_symbol = 4
      const answer = await reflect(client, delimited(4, Buffer.from(service)));
      const response = field(answer, 4);
      if (response === undefined)
        throw new Error(`${service} is not served at ${address}: ${answer.toString()}`);
      const file = field(response, 1) ?? Buffer.alloc(0);
      // FileDescriptorSet.file = 1
      const definition = loadFileDescriptorSetFromBuffer(delimited(1, file), {
        keepCase: true,
        longs: String,
        enums: String,
        defaults: true,
      });
      const methods = definition[service];
      if (methods === undefined) throw new Error(`the file of ${service} does not declare it`);
      return new ApiClient(client, methods);
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** Names of the services that reflection lists. */
  async services(): Promise<string[]> {
    const list = field(await reflect(this.#client, delimited(7, Buffer.alloc(0))), 6) ?? Buffer.alloc(0);
    return fields(list, 1).map((service) => (field(service, 1) ?? Buffer.alloc(0)).toString());
  }

  /** One request, one answer. @throws ServiceError */
  call<Response>(method: string, request: Message = {}): Promise<Response> {
    const { path, requestSerialize, responseDeserialize } = this.#method(method);
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        { deadline: Date.now() + TIMEOUT_MS },
        (error: ServiceError | null, response: unknown) =>
          error === null ? resolve(response as Response) : reject(error),
      );
    });
  }

  /**
   * One request, many answers. `take` sees each answer; when it returns true the call is cancelled.
   * @throws ServiceError
   */
  stream<Response>(
    method: string,
    request: Message,
    take: (response: Response) => boolean | void,
  ): Promise<StatusObject> {
    const { path, requestSerialize, responseDeserialize } = this.#method(method);
    const call = this.#client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request, {
      deadline: Date.now() + TIMEOUT_MS,
    });
    return new Promise((resolve, reject) => {
      let isCancelled = false;
      call.on('data', (response: Response) => {
        if (isCancelled || take(response) !== true) return;
        isCancelled = true;
        call.cancel();
      });
      call.on('error', (error: ServiceError) => {
        if (!isCancelled) reject(error);
      });
      call.on('status', resolve);
    });
  }

  close(): void {
    this.#client.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #method(name: string): MethodDefinition<object, object> {
    const found = (this.#methods as Readonly<Record<string, MethodDefinition<object, object>>>)[name];
    if (found === undefined) throw new Error(`no method ${name}`);
    return found;
  }
}

function reflect(client: Client, request: Buffer): Promise<Buffer> {
  const same = (bytes: Buffer): Buffer => bytes;
  const call = client.makeBidiStreamRequest(REFLECTION, same, same, { deadline: Date.now() + TIMEOUT_MS });
  return new Promise((resolve, reject) => {
    call.on('data', resolve);
    call.on('error', reject);
    call.write(request);
    call.end();
  });
}

// Just enough of the wire format to ask for the rest.
function delimited(number: number, bytes: Buffer): Buffer {
  const head = [(number << 3) | 2];
  let length = bytes.length;
  for (; length > 0x7f; length >>= 7) head.push((length & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([...head, length]), bytes]);
}

function fields(message: Buffer, wanted: number): Buffer[] {
  const found: Buffer[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = message[at++] ?? 0;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const value = varint();
    if ((tag & 7) !== 2) continue;
    if (tag >> 3 === wanted) found.push(message.subarray(at, at + value));
    at += value;
  }
  return found;
}

function field(message: Buffer, wanted: number): Buffer | undefined {
  return fields(message, wanted)[0];
}
