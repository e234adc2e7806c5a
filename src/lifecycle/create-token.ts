import { EverleafError, messageOf } from '../errors.ts'
import type { Duration, Instant } from '../model.ts'
import { type CertificateNames, namesOf } from '../policy/names.ts'
import { encodeBase64Url } from '../protocol/base64.ts'
import { encodeGeneralNames } from '../protocol/general-names.ts'
import { encodeName, type NameAttribute } from '../protocol/name.ts'
import type { Ports } from './ports.ts'
import { tokenHash } from './token-hash.ts'

export interface TokenRequest {
  device: string
  profile: string
  ttl: Duration
  labels: Record<string, string>
}

const longestTtl = 30 * 86_400_000

/** Makes a one-time enrolment token, bound to a device and a profile. It is shown once; only its hash is kept. */
export const createToken = async (
  request: TokenRequest,
  { store, clock, random, profiles }: Pick<Ports, 'store' | 'clock' | 'random' | 'profiles'>,
): Promise<{ token: string; device: string; profile: string; expiresAt: Instant }> => {
  const now = clock.now()
  const device = await store.devices.get(request.device) // gather
  const refusal = tokenRefusal(request, profiles, device?.state === 'retired') // decide
  if (refusal !== null) throw new EverleafError('bad-input', refusal)
  const token = encodeBase64Url(random.bytes(24)) // act
  const expiresAt = now + request.ttl
  const { device: id, profile, labels } = request
  await store.transaction((tx) =>
    tx.tokens.insert({ hash: tokenHash(token), device: id, profile, labels, createdAt: now, expiresAt, usedAt: null }),
  ) // record
  return { token, device: id, profile, expiresAt }
}

const tokenRefusal = (request: TokenRequest, profiles: Ports['profiles'], retired: boolean): string | null => {
  const { device, ttl, labels } = request
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(device))
    return `device id ${JSON.stringify(device.slice(0, 80))}: 1 to 64 letters, digits, dots, dashes or underscores, beginning with a letter or digit`
  const profile = profiles.get(request.profile)
  if (!profile) return `unknown profile ${request.profile}; there are ${[...profiles.keys()].join(', ')}`
  if (!(ttl > 0 && ttl <= longestTtl)) return 'the time to live of a token is more than nothing and at most 30 days'
  if (retired) return `device ${device} is retired; choose another id`
  const names = namesOf(profile, { id: device, labels })
  if (!names.ok) return `profile ${profile.name} needs a label for ${names.template}; give it with --label`
  return unusableNames(names.names, profile.name)
}

/** A label can fill a template with what no certificate can hold; told now, not to the device. */
const unusableNames = ({ subject, dns, uri }: CertificateNames, profile: string): string | null => {
  try {
    encodeName(subject as Array<[NameAttribute, string]>)
    encodeGeneralNames({ dns, uri, ip: [] })
    return null
  } catch (error) {
    return `the names of profile ${profile} for this device cannot be written: ${messageOf(error)}`
  }
}
