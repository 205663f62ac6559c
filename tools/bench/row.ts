// What a row of the bench is, and the ratio that most of them are. Runs in the bench process.
import { pinnedNode } from '../pinned-node.ts';
import { compare, type Contestant } from './measure.ts';

export interface Measured {
  /** In the unit of the row's budget. */
  readonly value: number;
  /** What it was made of, for people. */
  readonly detail: string;
}

export interface Row {
  readonly name: string;
  readonly title: string;
  measure(): Measured | Promise<Measured>;
}

/** What starting node alone takes. */
export const NODE: Contestant = { name: 'node -e 0', command: [pinnedNode, '-e', '0'] };

/** The ratio of the medians of two programs that take turns. */
export function ratio(ours: Contestant, theirs: Contestant, rounds: number): Measured {
  const [mine, other] = compare([ours, theirs], rounds);
  if (mine === undefined || other === undefined) throw new Error('nothing measured');
  const ms = (value: number): string => value.toFixed(1);
  return {
    value: mine.medianMs / other.medianMs,
    detail: `${ms(mine.medianMs)} ms, ${theirs.name} ${ms(other.medianMs)} ms; least ${ms(mine.minMs)}, ${ms(other.minMs)}`,
  };
}
