import type { Device, Profile } from '../model.ts'

export interface CertificateNames {
  /** Subject attributes in their order, e.g. [['O', 'Example'], ['CN', 'device-1']]. */
  subject: Array<[string, string]>
  dns: string[]
  uri: string[]
}

/** Fills `{device}` and `{label.<name>}`; null when a label is missing. */
const fill = (template: string, device: Pick<Device, 'id' | 'labels'>): string | null => {
  let missing = false
  const text = template.replace(/\{(device|label\.([^{}]+))\}/g, (_, variable: string, label: string | undefined) => {
    const value = variable === 'device' ? device.id : device.labels[label ?? '']
    if (value === undefined) missing = true
    return value ?? ''
  })
  return missing ? null : text
}

/** The names that the profile grants the device, or the template whose label the device lacks. */
export const namesOf = (
  profile: Profile,
  device: Pick<Device, 'id' | 'labels'>,
): { ok: true; names: CertificateNames } | { ok: false; template: string } => {
  const templates = [...Object.values(profile.subject), ...profile.san.dns, ...profile.san.uri]
  const unfilled = templates.find((template) => fill(template, device) === null)
  if (unfilled !== undefined) return { ok: false, template: unfilled }
  const filled = (list: readonly string[]) => list.map((template) => fill(template, device) ?? '')
  return {
    ok: true,
    names: {
      subject: Object.entries(profile.subject).map(([type, template]) => [type, fill(template, device) ?? '']),
      dns: filled(profile.san.dns),
      uri: filled(profile.san.uri),
    },
  }
}

interface RequestedNames {
  subject: Array<[string, string]>
  san: { dns: string[]; uri: string[]; ip: string[]; others: number } | null
}

/**
 * Whether a first enrolment asks only for what it will get. The server writes the names itself; a request may leave them
 * out, name the device by CN, or repeat what is granted. Returns what is wrong, or null.
 */
export const namesRefusal = (requested: RequestedNames, granted: CertificateNames, device: string): string | null => {
  const allowed = new Set(granted.subject.map(([type, value]) => `${type}=${value}`)).add(`CN=${device}`)
  const strange = requested.subject.find(([type, value]) => !allowed.has(`${type}=${value}`))
  const grantedText = granted.subject.map(([type, value]) => `${type}=${value}`).join(', ')
  if (strange)
    return `subject ${strange[0]}=${strange[1]} is not this device's; it may ask for ${grantedText} or leave it empty`
  if (requested.san === null) return null
  const { dns, uri, ip, others } = requested.san
  const strangeName =
    dns.find((name) => !granted.dns.includes(name)) ?? uri.find((name) => !granted.uri.includes(name)) ?? ip[0]
  if (strangeName !== undefined || others > 0)
    return `subject alternative name ${strangeName ?? 'of another kind'} is not this device's; it may ask for ${[...granted.dns, ...granted.uri].join(', ') || 'none'} or leave it out`
  return null
}
