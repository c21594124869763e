/** What an XML feed calls things. Values are the names that the rest of ingest uses. */
export interface XmlVocabulary {
  readonly root: string;
  readonly basePlan: string;
  readonly plan: string;
  /** Attributes with another name than ours. */
  readonly attributes: Readonly<Record<string, string>>;
}
