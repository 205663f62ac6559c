// Dates of annotations: RFC 3339 with `T` (contract stage0 3.1). Pure; runs in every process.

import { quote } from '@rkt/diagnostics/quote';

import { refuse } from './errors.ts';

const RFC3339 =
  /^(\d{4})-(\d\d)-(\d\d)T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/** The instant of an RFC 3339 text. @throws SpecError `bad Date: ...` */
export function parseDate(text: string): Date {
  const [, year, month, day] = RFC3339.exec(text) ?? [];
  const date = new Date(text);
  const days = new Date(Date.UTC(2000 + (Number(year) % 400), Number(month), 0)).getUTCDate();
  const exists = Number(month) >= 1 && Number(month) <= 12 && Number(day) >= 1 && Number(day) <= days;
  return exists && !Number.isNaN(date.getTime()) ? date : refuse(`bad Date: ${quote(text)}`);
}
