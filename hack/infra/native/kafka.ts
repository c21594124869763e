import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exec, InfraError } from "../exec.ts";
import { findJava } from "../programs.ts";
import { ensureKafkaJars } from "./kafka-jars.ts";
import type { NativeContext, Server } from "./server.ts";

/** The name under which every set is formatted: one node, so nothing else can belong to the cluster. */
const clusterId = "cHJpY2luZy1lbmdpbmUtMQ";
const growingHeap = ["-Xmx384m", "-Xms128m"];

/** One node, KRaft: broker and controller in one process. */
export function kafkaServer(context: NativeContext): Server {
  const home = join(context.dir, "kafka");
  const data = join(home, "data");
  const properties = join(home, "server.properties");
  const logging = join(home, "log4j2.properties");
  const logPath = join(context.dir, "kafka.log");
  const heap = context.kafkaHeapMb === undefined ? growingHeap : fixedHeap(context.kafkaHeapMb);

  // Formatted aside and renamed: a half-formatted directory is never taken for a whole one.
  const format = async (java: string, classPath: string): Promise<void> => {
    const fresh = join(home, "data.new");
    rmSync(fresh, { recursive: true, force: true });
    rmSync(data, { recursive: true, force: true });
    const formatting = join(home, "format.properties");
    writeFileSync(formatting, serverProperties(context, fresh));
    const tool = [
      "kafka.tools.StorageTool",
      "format",
      "--cluster-id",
      clusterId,
      "--config",
      formatting,
      ...scram(context),
    ];
    await exec(java, [...jvmFlags(["-Xmx128m"], logging), "-cp", classPath, ...tool]);
    renameSync(fresh, data);
  };

  return {
    name: "kafka",
    service: "kafka",
    port: context.ports.kafka,
    stopSignal: "SIGTERM",
    stopGraceMs: 20_000,
    startTimeoutMs: 60_000,

    async prepare() {
      const java = await findJava();
      if (java === undefined) throw new InfraError("Kafka needs Java 17 or newer");
      const classPath = join(await ensureKafkaJars(context.cacheDir, context.log, context.signal), "*");
      mkdirSync(home, { recursive: true });
      writeFileSync(properties, serverProperties(context, data));
      writeFileSync(logging, loggingProperties);
      if (!existsSync(join(data, "meta.properties"))) await format(java, classPath);
      return {
        name: "kafka",
        command: java,
        args: [...jvmFlags(heap, logging), "-cp", classPath, "kafka.Kafka", properties],
        cwd: home,
      };
    },

    // The broker says so after the controller has let it in; its port answers earlier.
    async isReady() {
      return existsSync(logPath) && readFileSync(logPath, "utf8").includes("Kafka Server started");
    },
  };
}

/**
 * Memory that is there from the start. A collection of the young generation stops the broker for as long as it takes to copy what lives, so it is
 * large, and what has lived once, such as what is known of a partition, lives on: it is not copied again.
 */
function fixedHeap(mb: number): string[] {
  return [
    `-Xmx${mb}m`,
    `-Xms${mb}m`,
    `-Xmn${Math.round(mb * 0.6)}m`,
    "-XX:+AlwaysPreTouch",
    "-XX:MaxTenuringThreshold=1",
  ];
}

function jvmFlags(heap: readonly string[], logging: string): string[] {
  return [
    ...heap,
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Xshare:auto",
    "-Djava.awt.headless=true",
    `-Dlog4j2.configurationFile=${logging}`,
  ];
}

function scram({ kafkaListeners }: NativeContext): string[] {
  return Object.entries(kafkaListeners?.scramUsers ?? {}).flatMap(([name, password]) => [
    "--add-scram",
    `SCRAM-SHA-512=[name=${name},password=${password}]`,
  ]);
}

function serverProperties({ kafkaListeners, ports }: NativeContext, data: string): string {
  const listeners = [`PLAINTEXT://127.0.0.1:${ports.kafka}`, ...(kafkaListeners?.listeners ?? [])];
  const more = Object.entries(kafkaListeners?.properties ?? {}).map(([name, value]) => `${name}=${value}\n`);
  return `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${ports.kafkaController}
listeners=${[...listeners, `CONTROLLER://127.0.0.1:${ports.kafkaController}`].join(",")}
advertised.listeners=${listeners.join(",")}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=${data}
num.partitions=1
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
controlled.shutdown.enable=true
# A broker that was killed may come back only when its former self has expired.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=1000
num.network.threads=2
num.io.threads=4
background.threads=4
log.cleaner.dedupe.buffer.size=8388608
# Segments are preallocated index files of 10 MB each otherwise, times every test's partitions.
log.index.size.max.bytes=1048576
log.retention.hours=168
${more.join("")}`;
}

const loggingProperties = `status=error
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{ISO8601} %p %c{1}: %m%n
logger.server.name=kafka.server
logger.server.level=info
logger.config.name=kafka.server.KafkaConfig
logger.config.level=warn
`;
