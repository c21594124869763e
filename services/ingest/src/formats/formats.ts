import type { FeedFormat } from "@pricing-engine/contracts";
import { eventListXml } from "./event-list-xml.ts";
import type { FeedFormatReader } from "./feed-reader.ts";
import { readJson } from "./json-reader.ts";
import { planListXml } from "./plan-list-xml.ts";
import { makeXmlReader } from "./xml-reader.ts";

/** Both XML formats are read under either name. */
const xml = makeXmlReader([planListXml, eventListXml]);

export const formats: Readonly<Record<FeedFormat, FeedFormatReader>> = {
  "plan-list-xml": xml,
  "event-list-xml": xml,
  json: readJson,
};
