/** The share of the most that there was at which a product counts as scarce. */
const lowShare = 0.2;

/** Whether pricing hears of a level: while a product is scarce, and when it no longer is, so that its price comes down again. */
export function isNews(fullStock: number, before: number, after: number): boolean {
  const low = fullStock * lowShare;
  return before !== after && Math.min(before, after) <= low;
}
