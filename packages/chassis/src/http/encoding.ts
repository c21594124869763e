export type Encoding = "br" | "gzip";

/**
 * What `Accept-Encoding` (RFC 9110) prefers of what we speak; brotli wins a tie, and nothing is compressed for a client
 * that would rather have it as it is.
 */
export function pickEncoding(accept: string | undefined): Encoding | undefined {
  if (accept === undefined) return undefined;
  const weights = new Map<string, number>();
  for (const item of accept.toLowerCase().split(",").slice(0, 32)) {
    const [name = "", ...parameters] = item.split(";").map((part) => part.trim());
    const q = parameters.find((parameter) => parameter.startsWith("q="));
    const weight = q === undefined ? 1 : Number(q.slice(2));
    if (name !== "") weights.set(name, weight >= 0 && weight <= 1 ? weight : 0);
  }
  const weightOf = (name: string) => weights.get(name) ?? weights.get("*") ?? 0;
  const best = Math.max(weightOf("br"), weightOf("gzip"));
  if (best === 0 || best < (weights.get("identity") ?? 0)) return undefined;
  return weightOf("br") === best ? "br" : "gzip";
}
