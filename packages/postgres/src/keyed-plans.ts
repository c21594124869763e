/**
 * The same database, for connections whose every query looks rows up by key. A plan that was made while a table (or a month's partition)
 * was empty would read it whole, and stay: such plans are kept, until the table is next analysed. So they are forbidden there; what has
 * no index is still read whole.
 */
export function keyedPlans(url: string): string {
  const result = new URL(url);
  for (const plan of ["enable_seqscan", "enable_hashjoin", "enable_mergejoin"]) result.searchParams.set(plan, "off");
  return result.href;
}
