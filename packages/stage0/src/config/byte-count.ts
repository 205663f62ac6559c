// Numbers of bytes as people write them: `67108864`, `64Mi`, `1.5G`. Pure; runs in stage0.
//
// The same forms as quantities of manifests, without loading the code of the standard at each start.

const STEPS = 'kMGT';

/** Whole bytes, rounded up; undefined for anything else. */
export function parseByteCount(text: string): number | undefined {
  const match = /^(\d{1,15})(?:\.(\d{1,15}))?(?:([kKMGT])|([KMGT])i)?$/.exec(text);
  if (match === null) return undefined;
  const [, whole = '', fraction = '', decimal, binary] = match;
  const step = 1 + STEPS.indexOf((decimal ?? binary ?? '-').replace('K', 'k'));
  const scaled = BigInt(whole + fraction) * BigInt(binary === undefined ? 1000 : 1024) ** BigInt(step);
  const unit = 10n ** BigInt(fraction.length);
  const bytes = Number((scaled + unit - 1n) / unit);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
