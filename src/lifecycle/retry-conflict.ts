import { isEverleafError } from '../errors.ts'

/**
 * Runs `attempt` again where it lost a race: what the winner wrote is gathered anew and decides. Twice is enough, since
 * a winner's row stays.
 */
export const retryConflict = async <T>(attempt: () => Promise<T>): Promise<T> => {
  try {
    return await attempt()
  } catch (error) {
    if (!isEverleafError(error, 'conflict')) throw error
    return attempt()
  }
}
