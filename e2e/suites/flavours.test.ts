// The conformance suite: the same verbs mean the same with every stage1, and what one does not have it refuses, or says
// why not (contract stage1 14.10). Its last test compares docs/flavours.md with what the run gave.
//
// The parts are in e2e/flavours. Pods are few and looked at from many sides, as a virtual machine takes seconds to start.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { livingPod } from '../flavours/living-pod.ts';
import { networks } from '../flavours/networks.ts';
import { refusals } from '../flavours/refusals.ts';
import { shortPods } from '../flavours/short-pods.ts';
import { ABILITY_NAMES } from '../lib/abilities.ts';
import { flavoursDocument, flavoursTable, hasRun, isChecked } from '../lib/conformance.ts';
import { FLAVOUR_FILE, REPOSITORY, UPDATES_GOLDEN } from '../lib/environment.ts';
import { ALL_FLAVOURS, CONFORMING, type Flavour } from '../lib/flavours.ts';
import { networkSuite } from '../lib/network.ts';
import { type Requirement, skip } from '../lib/requires.ts';
import { suite } from '../lib/suite.ts';

const DOCUMENT = join(REPOSITORY, 'docs/flavours.md');

/** What the machine must have for a flavour. */
function programsOf({ can }: Flavour): readonly Requirement[] {
  return can.ownKernel ? ['program:qemu-system-x86_64'] : [];
}

function needsImage(flavour: Flavour): void {
  before(function () {
    if (existsSync(flavour.image)) return;
    // Somebody asks for the verdict on this very image.
    if (FLAVOUR_FILE !== undefined) throw new Error(`there is no ${flavour.image}`);
    skip(this, `needs ${flavour.image}`);
  });
}

for (const flavour of CONFORMING) {
  suite(
    `conformance of ${flavour.name}`,
    ['root', 'busybox', ...programsOf(flavour)],
    (the) => {
      needsImage(flavour);
      livingPod(the, flavour);
      shortPods(the, flavour);
      refusals(the, flavour);
    },
    { keepsPods: true },
  );
  networkSuite(`conformance of ${flavour.name} in networks`, programsOf(flavour), (the) => {
    needsImage(flavour);
    networks(the, flavour);
  });
}

if (FLAVOUR_FILE !== undefined)
  after(() => console.log(`\n${flavoursTable(CONFORMING, 'not checked').join('\n')}\n`));

describe('the table of flavours', () => {
  for (const flavour of CONFORMING) {
    it(`has a check of every ability of ${flavour.name}`, function () {
      if (!hasRun(flavour)) skip(this, `needs a run of ${flavour.name}`);
      assert.deepEqual(
        ABILITY_NAMES.filter((ability) => !isChecked(flavour, ability)),
        [],
      );
    });
  }
  if (FLAVOUR_FILE !== undefined) return;
  it('is what the run has given: docs/flavours.md', function () {
    const document = flavoursDocument(ALL_FLAVOURS);
    if (UPDATES_GOLDEN) writeFileSync(DOCUMENT, document);
    if (!CONFORMING.some(hasRun)) skip(this, 'needs a run of one of the flavours');
    assert.equal(document, readFileSync(DOCUMENT, 'utf8'), 'npm run flavours writes it anew');
  });
});
