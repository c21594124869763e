import type { RawPlan } from "@pricing-engine/contracts";
import { SaxesParser, type SaxesTagPlain } from "saxes";
import { FeedFault, type FeedFormatReader, limits } from "./feed-reader.ts";
import type { XmlVocabulary } from "./xml-vocabulary.ts";

const pieceLength = 64 * 1024;

type Attributes = Record<string, string>;

/**
 * Reads any of the vocabularies, told apart by the root: providers are configured under one name and send the other. Elements
 * that are not on the path root/output/base plan/plan/zone are passed over.
 */
export function makeXmlReader(vocabularies: readonly XmlVocabulary[]): FeedFormatReader {
  return (onPlan) => {
    const parser = new SaxesParser();
    let vocabulary: XmlVocabulary | undefined;
    let depth = 0;
    /** How many of the open elements are on the path, from the root; deeper ones are passed over. */
    let onPath = 0;
    let closed = false;
    let basePlan: Attributes = {};
    let plan: Attributes = {};
    let zones: Attributes[] = [];
    let written = 0;
    let lastTagAt = 0;

    const expected = (): readonly (string | undefined)[] => [
      vocabulary?.root,
      "output",
      vocabulary?.basePlan,
      vocabulary?.plan,
      "zone",
    ];
    let path = expected();

    const open = ({ name, attributes }: SaxesTagPlain): void => {
      lastTagAt = written;
      if (name.length > limits.nameLength) throw new FeedFault("too_large", "the name of an element is too long");
      if (depth === 0) {
        vocabulary = vocabularies.find(({ root }) => root === name);
        if (vocabulary === undefined) throw new FeedFault("not_a_feed", `the root is <${name}>`);
        path = expected();
      }
      if (depth === onPath && path[depth] === name) {
        onPath += 1;
        if (depth >= 2) take(depth, checked(attributes));
      }
      depth += 1;
      if (depth > limits.depth) throw new FeedFault("too_deep", `more than ${limits.depth} levels`);
    };

    const take = (level: number, attributes: Attributes): void => {
      if (level === 2) basePlan = rename(attributes, vocabulary);
      else if (level === 3) {
        plan = rename(attributes, vocabulary);
        zones = [];
      } else if (zones.length < limits.zones) zones.push(attributes);
    };

    parser.on("opentag", open);
    parser.on("closetag", () => {
      lastTagAt = written;
      depth -= 1;
      if (onPath <= depth) return;
      onPath = depth;
      if (depth === 3) {
        const whole: RawPlan = { basePlan, plan, zones };
        onPlan(whole);
      }
      if (depth === 0) closed = true;
    });
    parser.on("doctype", () => {
      throw new FeedFault("doctype", "the document has a DOCTYPE");
    });
    parser.on("error", (error) => {
      throw new FeedFault(vocabulary === undefined ? "not_a_feed" : "malformed", error.message);
    });

    return {
      write(text) {
        // A tag that never ends would be kept in memory for ever.
        for (let start = 0; start < text.length; start += pieceLength) {
          const piece = text.slice(start, start + pieceLength);
          written += piece.length;
          parser.write(piece);
          if (written - lastTagAt > limits.stretch) throw new FeedFault("too_large", "no tag ends for 1 MiB");
        }
      },
      end() {
        if (!closed) {
          throw vocabulary === undefined
            ? new FeedFault("not_a_feed", "the document is empty")
            : new FeedFault("truncated", "the document ends in its middle");
        }
        parser.close();
      },
    };
  };
}

function checked(attributes: Attributes): Attributes {
  let count = 0;
  for (const name in attributes) {
    count += 1;
    if (name.length > limits.nameLength) throw new FeedFault("too_large", "the name of an attribute is too long");
  }
  if (count > limits.attributes) throw new FeedFault("too_large", `more than ${limits.attributes} attributes`);
  return attributes;
}

function rename(attributes: Attributes, vocabulary: XmlVocabulary | undefined): Attributes {
  const names = vocabulary?.attributes ?? {};
  const renamed: Attributes = {};
  for (const [name, value] of Object.entries(attributes)) {
    // A feed may call something `constructor`.
    renamed[(Object.hasOwn(names, name) ? names[name] : undefined) ?? name] = value;
  }
  return renamed;
}
