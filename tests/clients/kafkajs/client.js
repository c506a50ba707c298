// What every client here does, with kafkajs; see ../README.md.
// kafkajs itself has gzip only: replies are read before the other codecs are registered.
const { randomUUID } = require("node:crypto");
const { CompressionCodecs, CompressionTypes, Kafka, Partitioners, logLevel } = require("kafkajs");
const SnappyCodec = require("kafkajs-snappy");
const lz4 = require("lz4js");
const { hash: xxh32 } = require("lz4js/xxh32.js");
const zstd = require("@bokuweb/zstd-wasm");

const CODECS = { none: "None", gzip: "GZIP", snappy: "Snappy", lz4: "LZ4", zstd: "ZSTD" };
const REPLIES = "recommendation-replies";
const [servers, name] = process.argv.slice(2);
const kafka = new Kafka({ clientId: name, brokers: [servers], logLevel: logLevel.ERROR });
const say = (done) => console.log(JSON.stringify(done));

async function main() {
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  const replies = new Replies(kafka.consumer({ groupId: `${name}-${randomUUID()}` }));
  await Promise.all([producer.connect(), replies.start()]);
  say({ did: "ask without codecs", reply: await ask(producer, replies, "none", {}) });

  await registerCodecs();
  let position;
  for (const [number, codec] of Object.keys(CODECS).entries()) {
    position = await publish(producer, name, { user_id: name, item_id: `cat ${number}` }, codec);
    say({ did: "like", codec });
  }
  await publish(producer, name, { user_id: name, item_id: "dog 0" });
  position = await publish(producer, name, { action: "unlike", user_id: name, item_id: "dog 0" });
  say({ did: "unlike" });
  const forgotten = `${name}-forgotten`;
  await publish(producer, forgotten, { user_id: forgotten, item_id: "cat 0" });
  await publish(producer, forgotten, { action: "forget_user", user_id: forgotten });
  say({ did: "forget" });
  await transact();
  for (const codec of Object.keys(CODECS)) {
    say({ did: "ask", codec, reply: await ask(producer, replies, codec, { after: position }) });
  }
  await Promise.all([producer.disconnect(), replies.consumer.disconnect()]);
}

async function registerCodecs() {
  await zstd.init();
  CompressionCodecs[CompressionTypes.Snappy] = SnappyCodec;
  CompressionCodecs[CompressionTypes.LZ4] = () => ({
    compress: async (encoder) => asKafkaWants(Buffer.from(lz4.compress(encoder.buffer))),
    decompress: async (buffer) => Buffer.from(lz4.decompress(buffer)),
  });
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: async (encoder) => Buffer.from(zstd.compress(encoder.buffer)),
    decompress: async (buffer) => Buffer.from(zstd.decompress(buffer)),
  });
}

// Kafka refuses frames that do not say that their blocks are independent. lz4js says nothing; with a
// single block, as here, they are. The byte after the descriptor is its checksum.
function asKafkaWants(frame) {
  const [flags, hasSize, independent] = [4, 0x08, 0x20];
  frame[flags] |= independent;
  const end = flags + 2 + (frame[flags] & hasSize ? 8 : 0);
  frame[end] = (xxh32(0, frame, flags, end - flags) >> 8) & 0xff;
  return frame;
}

async function publish(producer, user, event, codec = "none") {
  const [where] = await producer.send({
    topic: "likes",
    compression: CompressionTypes[CODECS[codec]],
    messages: [{ key: user, value: JSON.stringify(event) }],
  });
  return `${where.partition}:${where.baseOffset}`;
}

async function transact() {
  const producer = kafka.producer({
    transactionalId: `${name}-likes`,
    idempotent: true,
    maxInFlightRequests: 1,
    createPartitioner: Partitioners.DefaultPartitioner,
  });
  await producer.connect();
  for (const ending of ["kept", "aborted"]) {
    const transaction = await producer.transaction();
    const user = `${name}-${ending}`;
    await publish(transaction, user, { user_id: user, item_id: "cat 0" }, "gzip");
    await (ending === "kept" ? transaction.commit() : transaction.abort());
    say({ did: ending });
  }
  await producer.disconnect();
}

async function ask(producer, replies, codec, options) {
  const wanted = randomUUID();
  const reply = replies.to(wanted);
  await producer.send({
    topic: "recommendation-requests",
    compression: CompressionTypes[CODECS[codec]],
    messages: [
      {
        key: name,
        value: JSON.stringify({ user_id: name, count: 40, ...options }),
        headers: { kafka_correlationId: wanted, kafka_replyTopic: REPLIES },
      },
    ],
  });
  return reply;
}

// The consumer of the reply topic, and who waits for which correlation id.
class Replies {
  constructor(consumer) {
    this.consumer = consumer;
    this.waiting = new Map();
  }

  // Settles once the group has been joined: a reply sent before that would not be seen.
  async start() {
    await this.consumer.connect();
    await this.consumer.subscribe({ topic: REPLIES });
    const joined = new Promise((resolve) => this.consumer.on("consumer.fetch", resolve));
    await this.consumer.run({ eachMessage: async ({ message }) => this.take(message) });
    await joined;
  }

  take(message) {
    const id = message.headers.kafka_correlationId?.toString();
    this.waiting.get(id)?.(JSON.parse(message.value));
    this.waiting.delete(id);
  }

  to(id) {
    return new Promise((resolve) => this.waiting.set(id, resolve));
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
