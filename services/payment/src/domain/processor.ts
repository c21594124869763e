/** The two processors of an engine, cheap one first. */
export const processorNames = ["default", "fallback"] as const;
export type ProcessorName = (typeof processorNames)[number];

export function otherProcessor(name: ProcessorName): ProcessorName {
  return name === "default" ? "fallback" : "default";
}
