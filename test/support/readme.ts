/** One command of a page, and the JSON that it says comes of it. */
export interface ReadmeCall {
  readonly command: string;
  readonly method: string;
  /** Without the host. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly answer: unknown;
}

/** Each `sh` block with a curl command, with the `json` block after it. */
export function readCalls(markdown: string): readonly ReadmeCall[] {
  const blocks = [...markdown.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)];
  return blocks.flatMap(([, language, text = ""], index) => {
    if (language !== "sh" || !text.startsWith("curl ")) return [];
    const [, nextLanguage, json = ""] = blocks[index + 1] ?? [];
    if (nextLanguage !== "json") throw new Error(`no json block follows ${text}`);
    return [{ ...parseCurl(text), answer: JSON.parse(json) as unknown }];
  });
}

/** As much of curl as our pages use: a machine that runs the tests need not have it. */
function parseCurl(command: string): Omit<ReadmeCall, "answer"> {
  const words = splitWords(command);
  let method: string | undefined;
  let url: string | undefined;
  let body: string | undefined;
  const headers: Record<string, string> = {};
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "curl" || word === "-s") continue;
    else if (word === "-X") method = words.shift();
    else if (word === "-d") body = words.shift();
    else if (word === "-H") {
      const [name = "", ...value] = (words.shift() ?? "").split(":");
      headers[name] = value.join(":").trim();
    } else if (!word.startsWith("-") && url === undefined) url = word;
    else throw new Error(`${word} of ${command} is not known here`);
  }
  const target = /^(?:http:\/\/)?localhost:9999(\/.*)$/.exec(url ?? "")?.[1];
  if (target === undefined) throw new Error(`${command} calls no localhost:9999`);
  return { command, method: method ?? (body === undefined ? "GET" : "POST"), target, headers, body };
}

/** As a shell splits: quotes, and a backslash at the end of a line. */
function splitWords(command: string): string[] {
  const words = command.replaceAll("\\\n", " ").matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g);
  return Array.from(words, ([, single, double, bare]) => single ?? double ?? bare ?? "");
}
