/** What a gateway shall enforce. PEM texts in canonical form. */
export interface GatewayArtefacts {
  truststore: { version: number; pem: string; sha256: string }
  /** The CRL of every authority of the chain, an empty one too, concatenated. */
  crl: { pem: string; sha256: string }
}

/** What it enforces as far as can be seen; null: nothing there. */
export interface GatewayObservation {
  truststoreSha256: string | null
  crlSha256: string | null
}

/** What one gateway accepts; an artefact beyond it is refused before publication. Null: no limit known. */
export interface GatewayLimits {
  truststoreCertificates: number | null
  truststoreBytes: number | null
  crlBytes: number | null
}

/** A place that enforces mutual TLS. */
export interface Gateway {
  name: string
  limits: GatewayLimits
  observe(): Promise<GatewayObservation>
  /**
   * Makes the artefacts effective and proves that they are. On any failure the previous ones are effective again
   * before it throws `refused` (it would not take them) or `unavailable` (it could not be reached).
   */
  apply(artefacts: GatewayArtefacts): Promise<void>
}
