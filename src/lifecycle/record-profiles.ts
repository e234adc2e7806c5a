import type { Ports } from './ports.ts'

/** Records the configured profiles, a new version of each that changed, so that it can be told what an old certificate was issued under. */
export const recordProfiles = async ({
  store,
  clock,
  profiles,
}: Pick<Ports, 'store' | 'clock' | 'profiles'>): Promise<void> => {
  const now = clock.now()
  await store.transaction(async (tx) => {
    for (const profile of profiles.values()) await tx.profiles.record(profile, now)
  })
}
