/** Of one transaction or query; the server ends what takes longer. */
export const deadlineMs = 5_000;

/** How long the messages of a stage gather while there are many: a tenth of an order's time to the notification, at most, for all stages. */
export const gatherMs = 20;

/** Between two fetches of a stage that bring something: a fetch asks for every partition, however few have something, and costs the broker as much. */
export const fetchSpacingMs = 40;
