import type { XmlVocabulary } from "./xml-vocabulary.ts";

/** `planList/output/base_plan/plan/zone`. */
export const planListXml: XmlVocabulary = { root: "planList", basePlan: "base_plan", plan: "plan", attributes: {} };
