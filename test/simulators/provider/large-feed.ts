import type { Behaviour } from "./behaviour.ts";

const head = '<?xml version="1.0" encoding="UTF-8"?>\n<planList><output>\n';
const tail = "</output></planList>\n";
const dayMs = 86_400_000;

/** A document of at least `largeBytes`, a plan at a time. Plans lie 20 minutes apart, from 2030 on. */
export function* largeFeed({ largeBytes, largeZones, largeVersion }: Behaviour): Generator<string> {
  yield head;
  let length = head.length + tail.length;
  for (let index = 0; length < largeBytes; index += 1) {
    const plan = largePlan(index, largeZones, largeVersion);
    length += plan.length;
    yield plan;
  }
  yield tail;
}

const keptBytes = 64_000_000;
const pieceLength = 64 * 1024;

/**
 * The same, made before it is asked for: whoever measures how fast it is read does not measure how fast it is made. Undefined for one
 * that is too large to be kept.
 */
export function prepareLargeFeed(behaviour: Behaviour): readonly Buffer[] | undefined {
  if (behaviour.largeBytes > keptBytes) return undefined;
  const pieces: Buffer[] = [];
  let piece = "";
  for (const plan of largeFeed(behaviour)) {
    piece += plan;
    if (piece.length < pieceLength) continue;
    pieces.push(Buffer.from(piece));
    piece = "";
  }
  return [...pieces, Buffer.from(piece)];
}

export function largePlan(index: number, zones: number, version: number): string {
  const start = Date.UTC(2030, 0, 1) + index * 20 * 60_000;
  const at = (ms: number) => new Date(ms).toISOString().slice(0, 19);
  const lines: string[] = [];
  for (let zone = 0; zone < zones; zone += 1) {
    lines.push(
      `<zone zone_id="${zone}" capacity="${(index * 7 + zone * 13 + version) % 500}" price="${10 + zone}.${version % 10}0" name="Platea ${zone}" numbered="${zone % 2 === 0}"/>`,
    );
  }
  return `<base_plan base_plan_id="${index}" sell_mode="online" title="Concierto número ${index}"><plan plan_id="${index}" plan_start_date="${at(start)}" plan_end_date="${at(start + 5_400_000)}" sell_from="${at(start - 90 * dayMs)}" sell_to="${at(start)}" sold_out="false">\n${lines.join("\n")}\n</plan></base_plan>\n`;
}

/** Nine levels of ten times as much: a billion times `lol`. */
export const entityBomb = `<?xml version="1.0"?>
<!DOCTYPE planList [<!ENTITY l0 "lol">${Array.from(
  { length: 9 },
  (_, level) => `<!ENTITY l${level + 1} "${`&l${level};`.repeat(10)}">`,
).join("")}]>
<planList><output><base_plan base_plan_id="1" title="&l9;" sell_mode="online"/></output></planList>`;
