// What an archive may cost at most. An image that needs more is taken for an attack. Pure; runs in stage0.

/** Bounds on one archive. */
export interface ArchiveLimits {
  /** Entries, whatever their type. */
  readonly maxEntries: number;
  /** Bytes of all files once written, holes of sparse files included. */
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
};

/** The longest path inside an image: PATH_MAX less room for the directory it is unpacked to. */
export const MAX_PATH_BYTES = 3800;
/** The longest name the kernel takes (NAME_MAX). */
export const MAX_NAME_BYTES = 255;
