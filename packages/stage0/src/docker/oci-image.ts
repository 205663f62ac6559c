// An image of the docker and OCI world that has been found but not read: what every source gives and what conversion
// takes (contract stage0 5). Types only; runs in stage0.

/** A docker reference, understood (contract stage0 5.1). */
export interface DockerReference {
  /** Host of the registry, with its port if it has one; `registry-1.docker.io` by default. */
  readonly index: string;
  /** `library/busybox`. */
  readonly repository: string;
  /** Absent when a digest was given and no tag. */
  readonly tag?: string;
  /** `sha256:` and 64 lower-case hex digits. */
  readonly digest?: string;
  /** As typed after the scheme. */
  readonly text: string;
}

/**
 * An image that has been located and whose manifest and config are verified by digest; layers are not read yet.
 * Held until {@link OciImage.close}, which also ends the streams that are still open.
 */
export interface OciImage {
  /**
   * Local sources have one too: that of the tag in the archive or layout, else index `localhost` and the name of the
   * file or directory.
   */
  readonly reference: DockerReference;
  readonly source: 'registry' | 'oci' | 'docker-archive' | 'oci-archive';
  /**
   * `sha256:<hex>` of the manifest bytes of the chosen platform. Of the config where there is no manifest (archives of
   * docker); with the ID of the top layer for the v1 API, which has neither.
   */
  readonly manifestDigest: string;
  /** Parsed and checked; its diffIds are as many as the layers, or none for images of schema 1. */
  readonly config: OciConfig;
  /** Base first. The same layer may be there more than once. */
  readonly layers: readonly OciLayer[];
  /** The manifest says that the image is a stage1. */
  readonly isStage1?: boolean;
  /** What only images of schema 1 and of the first registry API say. */
  readonly legacy?: LegacyImage;
  /**
   * The layer's bytes as stored (compressed). Several may be open at the same time, and one may be opened again.
   * @throws FetchError, DockerError
   */
  openLayer(layer: OciLayer): Promise<LayerStream>;
  close(): Promise<void>;
}

/**
 * The bytes of one layer, to be iterated once. Chunks are the consumer's: their memory is not used again. The digest
 * and the length are checked when the last byte is there: iteration throws instead of ending when they differ
 * (DockerError `digest-mismatch`), and at once when more bytes come than were announced. Nothing may be believed before
 * iteration has ended. Disposing of it, or leaving the loop, drops the connection or descriptor behind it.
 */
export interface LayerStream extends AsyncIterable<Uint8Array>, AsyncDisposable {
  /**
   * Once iteration has thrown: somebody else has the layer, too, and is asked when it is opened again. Everything comes
   * again then, from the first byte.
   */
  readonly hasOther?: boolean;
}

export interface OciLayer {
  /** `sha256:<hex>` or `sha512:<hex>` of the stored bytes. */
  readonly digest: string;
  readonly mediaType: string;
  /** Length of the stored bytes; -1 when the manifest does not tell (schema 1). */
  readonly sizeBytes: number;
  /** `sha256:<hex>` of the uncompressed archive, as the config states it: the reader has to check it. */
  readonly diffId?: string;
  /** By the media type; of layers in files by their first bytes. */
  readonly compression: 'gzip' | 'zstd' | 'none';
}

/** An image config (OCI image-spec config.md, docker image spec v1.2). */
export interface OciConfig {
  /** Empty when the config does not tell. */
  readonly os: string;
  /** In Go's words, e.g. `amd64`; empty when the config does not tell. */
  readonly architecture: string;
  readonly variant?: string;
  readonly author?: string;
  /** RFC 3339, as written. */
  readonly created?: string;
  /** Absent when the image config has no config section. */
  readonly config?: OciRunConfig;
  readonly rootfs: { readonly diffIds: readonly string[] };
  /** Base first; may be empty. */
  readonly history: readonly OciHistory[];
}

/** How the image wants to be run; what is absent or null there is empty here. */
export interface OciRunConfig {
  /** `user`, `uid`, `user:group`...; empty: root. */
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  /** `K=V`, in order, unchecked. */
  readonly env: readonly string[];
  readonly workingDir: string;
  /** `80/tcp`, `53/udp`, `80`. */
  readonly exposedPorts: readonly string[];
  /** Absolute paths. */
  readonly volumes: readonly string[];
  readonly labels: ReadonlyMap<string, string>;
  readonly stopSignal: string;
}

export interface OciHistory {
  readonly created?: string;
  readonly createdBy?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly emptyLayer: boolean;
}

/** Of schema 1 (the `2.1` path of contract stage0 5.3) and of the v1 API. */
export interface LegacyImage {
  readonly schema: 'v1' | '2.1';
  /** ID of the top layer. */
  readonly id: string;
  /** ID of the layer below the top one. */
  readonly parent?: string;
  readonly comment?: string;
}
