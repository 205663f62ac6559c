// Mount points: the places an image wants volumes at (contract stage0 3.3). Pure; runs in every process.

import { AcName } from './ac-name.ts';
import { flag, optional, required, struct, systemText } from './codec.ts';
import type { Codec } from './codec.ts';

export interface MountPoint {
  readonly name: AcName;
  /** Path inside the app's root. */
  readonly path: string;
  readonly readOnly?: boolean;
}

export const MountPoint: Codec<MountPoint> = struct<MountPoint>('MountPoint', {
  name: required(AcName, 'mount point name must be set'),
  path: required(systemText, 'mount point path must be set'),
  readOnly: optional(flag),
});
