// Annotations of images, pods and apps (contract stage0 3.2). Pure; runs in every process.

import { quote } from '@rkt/diagnostics/quote';

import { AcIdentifier, sameName } from './ac-identifier.ts';
import { defaulted, required, struct, text, uniqueList } from './codec.ts';
import type { Codec } from './codec.ts';
import { parseDate } from './date.ts';
import { parseWebUrl } from './url.ts';

export interface Annotation {
  readonly name: AcIdentifier;
  readonly value: string;
}

// Annotations the standard gives a form; all others are free text.
const CHECKS: ReadonlyMap<string, (value: string) => unknown> = new Map<string, (value: string) => unknown>([
  ['created', parseDate],
  ['homepage', parseWebUrl],
  ['documentation', parseWebUrl],
]);

export const Annotation: Codec<Annotation> = struct<Annotation>(
  'Annotation',
  { name: required(AcIdentifier, 'annotation name must be set'), value: defaulted(text, '') },
  (annotation) => {
    CHECKS.get(annotation.name)?.(annotation.value);
    return annotation;
  },
);

/** Annotations with unique names. */
export const Annotations: Codec<readonly Annotation[]> = uniqueList(
  Annotation,
  ({ name }) => name,
  (name) => `duplicate annotations of name ${quote(name)}`,
);

/** The value of the annotation `name`, in any case, or undefined. */
export function annotationValue(list: readonly Annotation[] | undefined, name: string): string | undefined {
  return list?.find((annotation) => sameName(annotation.name, name))?.value;
}
