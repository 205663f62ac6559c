// The bill of materials of a stage1 image, as CycloneDX JSON: the Debian packages its programs and libraries come from,
// the node that is in our executable, and the npm packages that are bundled into it. Runs at build time.
//
// The same image has the same bill: no serial number, and the date of the image.
import fs from 'node:fs';
import path from 'node:path';
import { Enums, Models, Serialize, Spec } from '@cyclonedx/cyclonedx-library';
import { readJson, workspaceRoot } from '../workspace.ts';
import type { AciInfo } from './aci.ts';

/** A Debian package of which something is in the image. */
export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  /** Of the package file, in hex. */
  readonly sha256: string;
}

/** An npm package of which something is in the image. */
export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  /** SPDX expression. */
  readonly license: string;
}

/** The npm packages that source files, relative to the workspace root, belong to. Throws when one says too little. */
export function npmPackagesOf(files: readonly string[]): NpmPackage[] {
  const directories = files.flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file) ?? []);
  return [...new Set(directories)].sort().map((directory) => npmPackage(path.join(workspaceRoot, directory)));
}

/** What the package in `directory` says of itself. Throws when it lacks a version or a license. */
export function npmPackage(directory: string): NpmPackage {
  const manifest = readJson<Partial<NpmPackage>>(path.join(directory, 'package.json'));
  const { name, version, license } = manifest;
  if (name === undefined || version === undefined || license === undefined)
    throw new Error(`${directory}/package.json: no name, version or license`);
  return { name, version, license };
}

/** Writes the bill of the image that `info` describes to `output`. */
export function writeSbom(
  output: string,
  info: AciInfo,
  parts: { readonly debian: readonly DebianPackage[]; readonly npm: readonly NpmPackage[] },
  date: Date,
): void {
  const image = new Models.Component(Enums.ComponentType.Container, info.name, {
    bomRef: info.key,
    version: info.version,
    licenses: new Models.LicenseRepository([new Models.LicenseExpression('Apache-2.0')]),
    hashes: new Models.HashDictionary([[Enums.HashAlgorithm['SHA-256'], info.sha256]]),
  });
  const components = [...parts.debian.map(debianComponent), ...parts.npm.map(npmComponent)];
  for (const { bomRef } of components) image.dependencies.add(bomRef);
  const bom = new Models.Bom({
    metadata: new Models.Metadata({ component: image, timestamp: date }),
    components: new Models.ComponentRepository(components),
  });
  const serializer = new Serialize.JsonSerializer(new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6));
  fs.writeFileSync(output, `${serializer.serialize(bom, { sortLists: true, space: 2 })}\n`);
}

function debianComponent({ name, version, sha256 }: DebianPackage): Models.Component {
  const purl = `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?arch=amd64`;
  return new Models.Component(Enums.ComponentType.Library, name, {
    bomRef: purl,
    purl,
    version,
    hashes: new Models.HashDictionary([[Enums.HashAlgorithm['SHA-256'], sha256]]),
  });
}

function npmComponent({ name, version, license }: NpmPackage): Models.Component {
  const purl = `pkg:npm/${name.replace('@', '%40')}@${encodeURIComponent(version)}`;
  return new Models.Component(Enums.ComponentType.Library, name, {
    bomRef: purl,
    purl,
    version,
    licenses: new Models.LicenseRepository([new Models.LicenseExpression(license)]),
  });
}
