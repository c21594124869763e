/** Of one transaction or query; the server ends what takes longer. */
export const deadlineMs = 5_000;
