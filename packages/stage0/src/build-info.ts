// What the build fixed: versions and the default stage1. The bundler replaces RKT_BUILD_INFO; in development the
// fallbacks count. Pure; runs in stage0.

/** Facts of one build of rkt (contract stage0 8.8, "build-time defaults"). */
export interface BuildInfo {
  readonly version: string;
  /** Name of the default stage1 image. */
  readonly stage1Name: string;
  readonly stage1Version: string;
  /** Absolute path or URL of the default stage1 image. */
  readonly stage1Location: string;
  /** Its file name beside the rkt executable. */
  readonly stage1FileName: string;
  /** Directory of --stage1-from-dir. */
  readonly stage1ImagesDir: string;
  /** Store key of the default stage1 image, when the build knows it. */
  readonly stage1Key?: string;
}

declare const RKT_BUILD_INFO: Partial<BuildInfo> | undefined;

const DEVELOPMENT: BuildInfo = {
  version: '2.0.0',
  stage1Name: 'coreos.com/rkt/stage1-nspawn',
  stage1Version: '2.0.0',
  stage1Location: '/usr/lib/rkt/stage1-images/stage1-nspawn.aci',
  stage1FileName: 'stage1-nspawn.aci',
  stage1ImagesDir: '/usr/lib/rkt/stage1-images',
};

/** The facts of this build. */
export const buildInfo: BuildInfo = {
  ...DEVELOPMENT,
  ...(typeof RKT_BUILD_INFO === 'undefined' ? {} : RKT_BUILD_INFO),
};
