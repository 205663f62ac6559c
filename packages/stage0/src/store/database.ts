// The metadata of images: a small SQLite file that is opened, used and closed inside a flock of its directory for each
// transaction, so that any number of processes may share it (contract stage0 7.1). Runs in stage0.

import { chmodSync, existsSync, rmSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { withKernelErrors } from '@rkt/linux/errno';
import { type FileLock, lockDirectory } from '@rkt/linux/file-lock';
import { dbDir, dbFile, type DataDir, STORE_FILE_MODE } from '@rkt/pod-layout/data-dir';

import { backUp } from './db-backups.ts';
import { ensureDirectory } from './directories.ts';
import { StoreError } from './errors.ts';
import { type AciInfoRow, findImageRow, putImage } from './rows.ts';

const SCHEMA_VERSION = 2;

// What the tables of the version before lack; {@link Database} fills the columns from the images.
const MIGRATIONS: readonly string[] = [
  `
  ALTER TABLE aciinfo ADD COLUMN version TEXT;
  ALTER TABLE aciinfo ADD COLUMN manifestsize INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE aciinfo ADD COLUMN manifestmtime INTEGER NOT NULL DEFAULT 0;
`,
];

const SCHEMA = `
  CREATE TABLE aciinfo (
    blobkey TEXT PRIMARY KEY, name TEXT NOT NULL, importtime INTEGER NOT NULL,
    latest INTEGER NOT NULL, size INTEGER NOT NULL, treestoresize INTEGER NOT NULL,
    version TEXT, manifestsize INTEGER NOT NULL, manifestmtime INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX aciinfo_name ON aciinfo (name);
  CREATE TABLE remote (
    aciurl TEXT PRIMARY KEY, sigurl TEXT NOT NULL, etag TEXT NOT NULL, blobkey TEXT NOT NULL,
    cachemaxage INTEGER NOT NULL, downloadtime INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE file (
    dev INTEGER NOT NULL, ino INTEGER NOT NULL, size INTEGER NOT NULL, mtime INTEGER NOT NULL,
    ctime INTEGER NOT NULL, blobkey TEXT NOT NULL, PRIMARY KEY (dev, ino)
  ) STRICT;
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

// What came later and an older rkt may leave alone: made by the first that writes.
const ADDITIONS = `
  CREATE TABLE IF NOT EXISTS madeof (blobkey TEXT PRIMARY KEY, layers TEXT NOT NULL) STRICT;
`;

/** Runs transactions on the metadata of one data directory. */
export class Database {
  readonly #data: DataDir;

  readonly #recover: () => readonly AciInfoRow[];

  /** @param recover What is known of images from their files alone, for a database that was lost. */
  constructor(data: DataDir, recover: () => readonly AciInfoRow[]) {
    this.#data = data;
    this.#recover = recover;
  }

  /** Runs `query` on what is stored; `none` when nothing was stored yet. @throws StoreError `database` */
  read<Result>(query: (db: DatabaseSync) => Result, none: Result): Result {
    if (!existsSync(dbFile(this.#data))) return this.#recover().length === 0 ? none : this.write(query);
    using lock = this.#lock(false);
    if (lock === undefined) return none;
    try {
      return this.#run(true, query);
    } catch (error) {
      // A writer was killed in the middle: its journal must be rolled back, which takes the right to write.
      if (!isSqlite(error, UNFINISHED)) throw this.#explain(error);
    }
    lock.release();
    return this.write(query);
  }

  /** Runs `change` as one transaction. @throws StoreError `database`, KernelError when the directory cannot be written */
  write<Result>(change: (db: DatabaseSync) => Result): Result {
    ensureDirectory(dbDir(this.#data));
    using _lock = this.#lock(true);
    try {
      return this.#run(false, change);
    } catch (error) {
      throw this.#explain(error);
    }
  }

  /** What is wrong with the file itself; undefined when it is whole or not there. */
  problem(): string | undefined {
    try {
      const findings = this.read((db) => db.prepare('PRAGMA integrity_check').all(), []);
      const [first] = findings.map((row) => String(row['integrity_check']));
      return first === 'ok' ? undefined : first;
    } catch (error) {
      if (hasCode(error, 'database')) return (error as Error).message;
      throw error;
    }
  }

  /** Deletes the file and what an unfinished transaction left of it. @throws KernelError */
  drop(): void {
    using _lock = this.#lock(true);
    const file = dbFile(this.#data);
    withKernelErrors(file, () => {
      for (const name of [file, `${file}-journal`]) rmSync(name, { force: true });
    });
  }

  #lock(exclusive: boolean): FileLock | undefined {
    try {
      return lockDirectory(dbDir(this.#data), { exclusive, wait: true });
    } catch (error) {
      if (!exclusive && hasCode(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  #run<Result>(readOnly: boolean, work: (db: DatabaseSync) => Result): Result {
    const sqlite = process.getBuiltinModule('node:sqlite');
    const file = dbFile(this.#data);
    const isNew = !existsSync(file);
    const db = new sqlite.DatabaseSync(file, { readOnly });
    try {
      if (isNew) chmodSync(file, STORE_FILE_MODE);
      const version = Number(db.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0);
      if (version > SCHEMA_VERSION) {
        throw new StoreError(
          'database',
          `image database ${file} has version ${version}, this rkt knows versions up to ${SCHEMA_VERSION}`,
          { hint: 'use the newer rkt that wrote it' },
        );
      }
      if (readOnly && version < SCHEMA_VERSION) throw new OutdatedError();
      if (readOnly) return work(db);
      db.exec('BEGIN IMMEDIATE');
      if (version === 0) this.#initialize(db);
      else if (version < SCHEMA_VERSION) this.#migrate(db, version);
      db.exec(ADDITIONS);
      const result = work(db);
      db.exec('COMMIT');
      return result;
    } finally {
      db.close();
    }
  }

  #initialize(db: DatabaseSync): void {
    db.exec(SCHEMA);
    for (const row of this.#recover()) putImage(db, row);
  }

  #migrate(db: DatabaseSync, from: number): void {
    const file = dbFile(this.#data);
    if (process.geteuid?.() !== 0) {
      throw new StoreError(
        'database',
        `image database ${file} has version ${from} and must be migrated to ${SCHEMA_VERSION}`,
        { hint: 'run this command as root once' },
      );
    }
    backUp(this.#data);
    for (const change of MIGRATIONS.slice(from - 1)) db.exec(change);
    db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
    for (const row of this.#recover()) {
      const known = findImageRow(db, row.key);
      if (known !== undefined)
        putImage(db, { ...known, version: row.version, manifestFile: row.manifestFile });
    }
  }

  #explain(error: unknown): unknown {
    if (!isSqlite(error)) return error;
    const { errcode, message } = error as unknown as { errcode?: number; message: string };
    const file = dbFile(this.#data);
    const primary = (errcode ?? 0) & 0xff;
    if (primary === SQLITE_CORRUPT || primary === SQLITE_NOTADB) {
      return new StoreError('database', `image database ${file} is damaged: ${message}`, {
        hint: 'remove the file: it is made again from the images',
      });
    }
    const reason = REASONS.get(primary) ?? message;
    return new StoreError('database', `image database ${file}: ${reason}`);
  }
}

// A file that was made but never got its tables, as a writer was killed before its first commit; or an older version.
class OutdatedError extends Error {}

const SQLITE_READONLY = 8;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;
const REASONS = new Map([
  [SQLITE_READONLY, 'permission denied or read-only file system'],
  [SQLITE_FULL, 'no space left on device'],
  [SQLITE_CANTOPEN, 'permission denied or no such file or directory'],
]);
const UNFINISHED = new Set([SQLITE_READONLY, SQLITE_CANTOPEN]);

function isSqlite(error: unknown, primaryCodes?: ReadonlySet<number>): boolean {
  if (error instanceof OutdatedError) return primaryCodes !== undefined;
  const { code, errcode } = error as { code?: unknown; errcode?: number };
  if (code !== 'ERR_SQLITE_ERROR') return false;
  return primaryCodes === undefined || primaryCodes.has((errcode ?? 0) & 0xff);
}
