import type { XmlVocabulary } from "./xml-vocabulary.ts";

/** `eventList/output/base_event/event/zone`: the same values under older names. */
export const eventListXml: XmlVocabulary = {
  root: "eventList",
  basePlan: "base_event",
  plan: "event",
  attributes: {
    base_event_id: "base_plan_id",
    event_id: "plan_id",
    event_start_date: "plan_start_date",
    event_end_date: "plan_end_date",
  },
};
