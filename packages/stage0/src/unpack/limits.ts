// What an archive may cost at most. An image that needs more is taken for an attack, unless whoever fetches it raises
// the limit. Pure; runs in stage0.

/** Bounds on one archive. */
export interface ArchiveLimits {
  /** Entries, whatever their type. */
  readonly maxEntries: number;
  /** Bytes of the archive uncompressed, and of all its files once written, holes of sparse files included. */
  readonly maxFileBytes: number;
  /** Bytes of one extended header (pax records, long names). */
  readonly maxHeaderBytes: number;
  /** Bytes of the image manifest. */
  readonly maxManifestBytes: number;
  /** Segments of a sparse file. */
  readonly maxSparseSegments: number;
  /** Bytes out for each byte in that a compressed archive may reach... */
  readonly maxRatio: number;
  /** ...once this many bytes came out. */
  readonly ratioFreeBytes: number;
  /** Bytes of memory that decompression may take for its window or dictionary. */
  readonly maxMemoryBytes: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

export const DEFAULT_LIMITS: ArchiveLimits = {
  maxEntries: 1_000_000,
  maxFileBytes: 64 * GIB,
  maxHeaderBytes: 4 * MIB,
  maxManifestBytes: 4 * MIB,
  maxSparseSegments: 100_000,
  maxRatio: 200,
  ratioFreeBytes: 128 * MIB,
  maxMemoryBytes: 128 * MIB,
};

/**
 * For images of the store: how large they may be was decided by whoever fetched them. What bounds memory stays.
 */
export const STORED_LIMITS: ArchiveLimits = {
  ...DEFAULT_LIMITS,
  maxEntries: Number.MAX_SAFE_INTEGER,
  maxFileBytes: Number.MAX_SAFE_INTEGER,
};

/** The limits that can be raised, named as the flags and as the fields in configuration of kind `limits`. */
export const RAISABLE_LIMITS: {
  readonly 'max-image-size': 'maxFileBytes';
  readonly 'max-image-entries': 'maxEntries';
  readonly 'max-image-ratio': 'maxRatio';
  readonly 'max-image-memory': 'maxMemoryBytes';
} = {
  'max-image-size': 'maxFileBytes',
  'max-image-entries': 'maxEntries',
  'max-image-ratio': 'maxRatio',
  'max-image-memory': 'maxMemoryBytes',
};

export type RaisableLimit = keyof typeof RAISABLE_LIMITS;

/** Limits by the names of {@link RAISABLE_LIMITS}; what is absent stays as it is. */
export type LimitValues = Readonly<Partial<Record<RaisableLimit, number>>>;

/** {@link DEFAULT_LIMITS} with what was given instead, the last first. */
export function archiveLimits(...given: readonly LimitValues[]): ArchiveLimits {
  const limits: { -readonly [Name in keyof ArchiveLimits]: number } = { ...DEFAULT_LIMITS };
  for (const values of given) {
    for (const [name, value] of Object.entries(values))
      limits[RAISABLE_LIMITS[name as RaisableLimit]] = value;
  }
  return limits;
}

/** The longest path inside an image: PATH_MAX less room for the directory it is unpacked to. */
export const MAX_PATH_BYTES = 3800;
/** The longest name the kernel takes (NAME_MAX). */
export const MAX_NAME_BYTES = 255;
