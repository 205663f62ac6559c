// The images an image builds upon (contract stage0 3.2). Pure; runs in every process.

import { AcIdentifier } from './ac-identifier.ts';
import { integer, optional, required, struct } from './codec.ts';
import type { Codec } from './codec.ts';
import { ImageId } from './image-id-codec.ts';
import { Labels } from './labels.ts';
import type { Label } from './labels.ts';

export interface Dependency {
  readonly imageName: AcIdentifier;
  readonly imageID?: string;
  readonly labels?: readonly Label[];
  /** Bytes; informational. */
  readonly size?: number;
}

export const Dependency: Codec<Dependency> = struct<Dependency>('Dependency', {
  imageName: required(AcIdentifier, 'imageName must be set'),
  imageID: optional(ImageId),
  labels: optional(Labels),
  size: optional(integer(0, Number.MAX_SAFE_INTEGER, 'size must be an unsigned integer')),
});
