// The rows of the metadata database and the statements on them (contract stage0 7.1, 7.5). Runs in stage0.

import type { DatabaseSync } from 'node:sqlite';

import type { ImageKey } from '@rkt/spec/image-id';

/** What the database says of an image. Times are milliseconds since 1970 with a fraction. */
export interface AciInfoRow {
  readonly key: ImageKey;
  readonly name: string;
  readonly importTime: number;
  /** Came from discovery without a version, or from a docker reference tagged `latest`. */
  readonly latest: boolean;
  /** Bytes of the uncompressed image. */
  readonly sizeBytes: number;
  /** Bytes of its unpacked tree; 0 when there is none. */
  readonly treeSizeBytes: number;
  /** The version label of the manifest. */
  readonly version: string | undefined;
  /** The manifest file that name and version were read from. */
  readonly manifestFile: FileMark;
}

/** Tells a file that was written since. */
export interface FileMark {
  readonly sizeBytes: number;
  /** Microseconds since 1970. */
  readonly mtimeUs: number;
}

/** What is remembered of a download. */
export interface RemoteRow {
  readonly url: string;
  readonly signatureUrl: string;
  readonly etag: string;
  readonly key: ImageKey;
  readonly maxAgeSeconds: number;
  /** Milliseconds since 1970. */
  readonly downloadTime: number;
}

/** What tells that a file is the very one that was read before. */
export interface FileIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

// Times are stored as microseconds: sub-second, and exact in a double.
const toMicroseconds = (ms: number): number => Math.round(ms * 1000);

interface RawAciInfo {
  readonly blobkey: string;
  readonly name: string;
  readonly importtime: number;
  readonly latest: number;
  readonly size: number;
  readonly treestoresize: number;
  readonly version: string | null;
  readonly manifestsize: number;
  readonly manifestmtime: number;
}

function aciInfo(raw: unknown): AciInfoRow {
  const row = raw as RawAciInfo;
  return {
    key: row.blobkey,
    name: row.name,
    importTime: row.importtime / 1000,
    latest: row.latest !== 0,
    sizeBytes: row.size,
    treeSizeBytes: row.treestoresize,
    version: row.version ?? undefined,
    manifestFile: { sizeBytes: row.manifestsize, mtimeUs: row.manifestmtime },
  };
}

export function allImages(db: DatabaseSync): AciInfoRow[] {
  return db.prepare('SELECT * FROM aciinfo').all().map(aciInfo);
}

/** The images of one name, those marked latest first, then the most recently imported. */
export function imagesNamed(db: DatabaseSync, name: string): AciInfoRow[] {
  return db
    .prepare('SELECT * FROM aciinfo WHERE name = ? ORDER BY latest DESC, importtime DESC, rowid DESC')
    .all(name)
    .map(aciInfo);
}

export function findImageRow(db: DatabaseSync, key: ImageKey): AciInfoRow | undefined {
  const row = db.prepare('SELECT * FROM aciinfo WHERE blobkey = ?').get(key);
  return row === undefined ? undefined : aciInfo(row);
}

/** Puts or replaces the row of an image. */
export function putImage(db: DatabaseSync, row: AciInfoRow): void {
  db.prepare('INSERT OR REPLACE INTO aciinfo VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)').run(
    row.key,
    row.name,
    toMicroseconds(row.importTime),
    row.latest ? 1 : 0,
    row.sizeBytes,
    row.treeSizeBytes,
    row.version ?? null,
    row.manifestFile.sizeBytes,
    row.manifestFile.mtimeUs,
  );
}

export function setTreeSize(db: DatabaseSync, key: ImageKey, bytes: number): void {
  db.prepare('UPDATE aciinfo SET treestoresize = ? WHERE blobkey = ?').run(bytes, key);
}

/**
 * Forgets an image and everything that led to it.
 * @returns digests of the layers that no other image was made of.
 */
export function deleteImage(db: DatabaseSync, key: ImageKey): string[] {
  const layers = layersOf(db, 'WHERE blobkey = ?', key);
  for (const table of ['aciinfo', 'remote', 'file', 'madeof'])
    db.prepare(`DELETE FROM ${table} WHERE blobkey = ?`).run(key);
  if (layers.length === 0) return [];
  const others = layersInUse(db);
  return [...new Set(layers)].filter((digest) => !others.has(digest));
}

/** Notes the layers (digests, base first) an image was made of. */
export function putLayers(db: DatabaseSync, key: ImageKey, layers: readonly string[]): void {
  db.prepare('INSERT OR REPLACE INTO madeof VALUES (?, ?)').run(key, layers.join(' '));
}

/** The images that were made of exactly these layers. */
export function findMadeOf(db: DatabaseSync, layers: readonly string[]): ImageKey[] {
  if (!hasLayers(db)) return [];
  const rows = db.prepare('SELECT blobkey FROM madeof WHERE layers = ?').all(layers.join(' '));
  return rows.map((row) => row['blobkey'] as ImageKey);
}

/** Digests of the layers that images were made of. */
export function layersInUse(db: DatabaseSync): Set<string> {
  return new Set(hasLayers(db) ? layersOf(db, '') : []);
}

function layersOf(db: DatabaseSync, where: '' | 'WHERE blobkey = ?', ...values: string[]): string[] {
  const rows = db.prepare(`SELECT layers FROM madeof ${where}`).all(...values);
  return rows.flatMap((row) => (row['layers'] as string).split(' '));
}

// A database that is read only may come from an rkt that did not know of layers.
function hasLayers(db: DatabaseSync): boolean {
  return (
    db.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'madeof'").get() !== undefined
  );
}

export function findRemote(db: DatabaseSync, url: string): RemoteRow | undefined {
  const row = db.prepare('SELECT * FROM remote WHERE aciurl = ?').get(url) as
    | {
        aciurl: string;
        sigurl: string;
        etag: string;
        blobkey: string;
        cachemaxage: number;
        downloadtime: number;
      }
    | undefined;
  return (
    row && {
      url: row.aciurl,
      signatureUrl: row.sigurl,
      etag: row.etag,
      key: row.blobkey,
      maxAgeSeconds: row.cachemaxage,
      downloadTime: row.downloadtime / 1000,
    }
  );
}

export function putRemote(db: DatabaseSync, row: RemoteRow): void {
  db.prepare('INSERT OR REPLACE INTO remote VALUES (?, ?, ?, ?, ?, ?)').run(
    row.url,
    row.signatureUrl,
    row.etag,
    row.key,
    row.maxAgeSeconds,
    toMicroseconds(row.downloadTime),
  );
}

/** The image that was read from this very file before. */
export function findFile(db: DatabaseSync, file: FileIdentity): ImageKey | undefined {
  const row = db
    .prepare('SELECT blobkey FROM file WHERE dev = ? AND ino = ? AND size = ? AND mtime = ? AND ctime = ?')
    .get(file.dev, file.ino, file.size, file.mtimeNs, file.ctimeNs);
  return row?.['blobkey'] as ImageKey | undefined;
}

export function putFile(db: DatabaseSync, file: FileIdentity, key: ImageKey): void {
  db.prepare('INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?)').run(
    file.dev,
    file.ino,
    file.size,
    file.mtimeNs,
    file.ctimeNs,
    key,
  );
}

/** A row that leads to an image: of a download, of a file that was read, of the layers it was made of. */
export interface ImageReference {
  readonly table: 'remote' | 'file' | 'madeof';
  readonly rowId: number | bigint;
  /** The URL of a download, else empty. */
  readonly url: string;
  readonly key: ImageKey;
}

export function allReferences(db: DatabaseSync): ImageReference[] {
  const rows = db
    .prepare(
      `SELECT 'remote' AS source, rowid AS id, aciurl AS url, blobkey FROM remote
       UNION ALL SELECT 'file', rowid, '', blobkey FROM file
       ${hasLayers(db) ? `UNION ALL SELECT 'madeof', rowid, '', blobkey FROM madeof` : ''}`,
    )
    .all() as { source: ImageReference['table']; id: number; url: string; blobkey: string }[];
  return rows.map(({ source, id, url, blobkey }) => ({ table: source, rowId: id, url, key: blobkey }));
}

export function deleteReference(db: DatabaseSync, { table, rowId, key }: ImageReference): void {
  db.prepare(`DELETE FROM ${table} WHERE rowid = ? AND blobkey = ?`).run(rowId, key);
}
