/** What lies beside an artefact: enough to detect a truncated or swapped file, and the highest number ever put there. */
export interface Manifest {
  /** Version of a truststore, number of a CRL, as a decimal string; it never shrinks. */
  version: string
  /** SHA-256 of the bytes, lower-case hexadecimal. */
  sha256: string
  /** Certificates in a truststore, entries in a CRL. */
  count: number
  /** ISO 8601. */
  publishedAt: string
}

export interface Artefact {
  bytes: Uint8Array
  /** Names these bytes for `ifVersion`; opaque. */
  version: string
  /** Null where it is missing or does not match the bytes. */
  manifest: Manifest | null
}

/** Where artefacts are put for whatever enforces mutual TLS to read. Keys look like `crl/issuing-g1/0.crl`. */
export interface Publication {
  name: string
  get(key: string): Promise<Artefact | null>
  /** The manifest alone, readable even where the artefact is gone: its `version` is the high-water mark. */
  manifest(key: string): Promise<Manifest | null>
  /** Puts atomically, only if what is live is still `ifVersion` (null: nothing); `conflict` otherwise. Returns the new version. */
  put(key: string, bytes: Uint8Array, manifest: Manifest, ifVersion: string | null): Promise<string>
}
