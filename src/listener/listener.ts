import type { ParsedCertificate } from '../pki/certificate.ts'

/** The key and certificate with which the device listener answers. */
export interface ListenerIdentity {
  /** The certificate in use, or null before the first. */
  current(): Promise<ParsedCertificate | null>
  /** Makes a new P-256 key, kept aside until `install`; returns its SubjectPublicKeyInfo. A second call returns the same key until then. */
  prepareKey(): Promise<Uint8Array>
  /** Switches atomically to the prepared key with this chain (leaf first, DER); new connections use it at once. */
  install(chain: readonly Uint8Array[]): Promise<void>
}

/** Key and certificate chain (leaf first) as PEM, as a TLS server takes them. */
export interface ListenerPair {
  key: string
  chain: string
}

/** Where the device listener reads what it answers with, whoever made it. */
export interface ListenerSource {
  /** What new connections shall see; null: nothing yet. Never half of one pair and half of another. */
  read(): ListenerPair | null
  /** Calls back with each new pair; the returned function ends that. */
  onChange(callback: (pair: ListenerPair) => void): () => void
}
