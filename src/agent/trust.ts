import { type AgentCertificate, describe, parseCertificate, toPem } from './certificate.ts'
import { isRoot, verifyChain } from './chain.ts'
import type { Disk } from './disk.ts'
import { decodeOwnPem } from './encoding.ts'
import { AgentError, reasonOf } from './error.ts'
import { publicMode, readText, replaceFile } from './files.ts'
import { layout } from './layout.ts'

/** The roots in trust-anchors.pem; null: none installed yet. Throws AgentError `local` when damaged. */
export const loadAnchors = (disk: Disk, directory: string): AgentCertificate[] | null => {
  const path = layout.trustAnchors(directory)
  const text = readText(disk, path)
  if (text === null) return null
  try {
    return decodeOwnPem(text).map((der) => parseCertificate(der, path))
  } catch (error) {
    throw new AgentError('local', `${path} is damaged: ${reasonOf(error)}`, { cause: error })
  }
}

/** The root that was pinned, among certificates that nobody vouched for yet. */
export const pinnedRoot = (authorities: readonly AgentCertificate[], fingerprint: string): AgentCertificate => {
  const found = authorities.find((certificate) => certificate.fingerprint === fingerprint)
  if (found === undefined) {
    const seen = authorities.map((certificate) => `${describe(certificate)} ${certificate.fingerprint}`).join('; ')
    throw new AgentError(
      'untrusted',
      `the server has no authority with the pinned fingerprint ${fingerprint}; it showed ${seen || 'none'}`,
    )
  }
  if (!isRoot(found)) {
    throw new AgentError(
      'untrusted',
      `the pinned certificate ${describe(found)} is no self-signed authority, so it can be no root`,
    )
  }
  return found
}

export interface AnchorUpdate {
  /** What the server sent. */
  offered: readonly AgentCertificate[]
  /** The verified chain of the server that sent it, leaf first. */
  peer: readonly AgentCertificate[]
  /** Unix milliseconds. */
  at: number
}

/**
 * The roots of an offered set, delivered over a verified connection. Refused when none is left or when they would not
 * trust the very server that sent them: after installing such a set this device could never connect again.
 */
export const acceptAnchors = ({ offered, peer, at }: AnchorUpdate): AgentCertificate[] => {
  const roots = offered.filter((certificate) => isRoot(certificate) && certificate.notAfter >= at)
  if (roots.length === 0)
    throw new AgentError('untrusted', 'the offered trust anchors hold no valid root; the present ones are kept')
  const [leaf, ...others] = peer
  if (leaf === undefined)
    throw new AgentError('untrusted', 'the offered trust anchors came over no verified connection')
  try {
    verifyChain({ leaf, others: [...others, ...offered], anchors: roots, at, purpose: 'serverAuth' })
  } catch (error) {
    throw new AgentError(
      'untrusted',
      `the offered trust anchors do not trust the server that sent them: ${reasonOf(error)}; the present ones are kept`,
    )
  }
  return roots
}

export const saveAnchors = (disk: Disk, directory: string, anchors: readonly AgentCertificate[]): void =>
  replaceFile(disk, layout.trustAnchors(directory), toPem(anchors), publicMode)
