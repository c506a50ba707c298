package likewise;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.listener.ContainerProperties;
import org.springframework.kafka.listener.KafkaMessageListenerContainer;
import org.springframework.kafka.requestreply.ReplyingKafkaTemplate;

/** What every client here does, with Spring Kafka; see ../README.md. Idempotent, as Java's producer is. */
public class Client {
  static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");
  static final ObjectMapper JSON = new ObjectMapper();

  static DefaultKafkaProducerFactory<String, String> producers;

  public static void main(String[] arguments) throws Exception {
    var servers = arguments[0];
    var name = arguments[1];
    var config = Map.<String, Object>of("bootstrap.servers", servers);
    producers =
        new DefaultKafkaProducerFactory<>(config, new StringSerializer(), new StringSerializer());

    for (var codec : CODECS) {
      var item = "cat " + CODECS.indexOf(codec);
      publish(template(codec), name, Map.of("user_id", name, "item_id", item));
      say(Map.of("did", "like", "codec", codec));
    }
    var plain = template("none");
    publish(plain, name, Map.of("user_id", name, "item_id", "dog 0"));
    var unlike = Map.of("action", "unlike", "user_id", name, "item_id", "dog 0");
    var position = publish(plain, name, unlike);
    say(Map.of("did", "unlike"));
    var forgotten = name + "-forgotten";
    publish(plain, forgotten, Map.of("user_id", forgotten, "item_id", "cat 0"));
    publish(plain, forgotten, Map.of("action", "forget_user", "user_id", forgotten));
    say(Map.of("did", "forget"));

    transact(config, name);
    for (var codec : CODECS) {
      ask(config, name, position, codec);
    }
    producers.destroy();
  }

  static KafkaTemplate<String, String> template(String codec) {
    return new KafkaTemplate<>(producers, Map.of("compression.type", codec));
  }

  /** Sends an event and returns its position, as partition:offset. */
  static String publish(
      KafkaTemplate<String, String> template, String user, Map<String, String> event)
      throws Exception {
    var sent = template.send("likes", user, JSON.writeValueAsString(event));
    var where = sent.get(30, TimeUnit.SECONDS).getRecordMetadata();
    return where.partition() + ":" + where.offset();
  }

  static void transact(Map<String, Object> config, String name) {
    var transactional =
        new DefaultKafkaProducerFactory<>(config, new StringSerializer(), new StringSerializer());
    transactional.setTransactionIdPrefix(name + "-likes");
    var template = new KafkaTemplate<>(transactional, Map.of("compression.type", "snappy"));
    for (var ending : List.of("kept", "aborted")) {
      var user = name + "-" + ending;
      try {
        template.executeInTransaction(
            inside -> {
              inside.send("likes", user, "{\"user_id\": \"" + user + "\", \"item_id\": \"cat 0\"}");
              inside.flush();
              if (ending.equals("aborted")) {
                throw new IllegalStateException("to abort it");
              }
              return null;
            });
      } catch (IllegalStateException wanted) {
        // The template has aborted the transaction.
      }
      say(Map.of("did", ending));
    }
    transactional.destroy();
  }

  /** Asks with a container that subscribes in a separate group, as most applications do. */
  static void ask(Map<String, Object> config, String name, String position, String codec)
      throws Exception {
    var consumers =
        new DefaultKafkaConsumerFactory<>(
            config, new StringDeserializer(), new StringDeserializer());
    var properties = new ContainerProperties("recommendation-replies");
    properties.setGroupId(name + "-" + codec + "-" + position);
    var template =
        new ReplyingKafkaTemplate<String, String, String>(
            new DefaultKafkaProducerFactory<>(
                Map.of("bootstrap.servers", config.get("bootstrap.servers"), "compression.type", codec),
                new StringSerializer(),
                new StringSerializer()),
            new KafkaMessageListenerContainer<>(consumers, properties));
    template.start();
    template.waitForAssignment(Duration.ofSeconds(30));
    var request = Map.of("user_id", name, "count", 40, "after", position);
    var record =
        new ProducerRecord<String, String>(
            "recommendation-requests", name, JSON.writeValueAsString(request));
    var reply = template.sendAndReceive(record).get(30, TimeUnit.SECONDS).value();
    say(Map.of("did", "ask", "codec", codec, "reply", JSON.readTree(reply)));
    template.stop();
    template.destroy();
  }

  static void say(Map<String, Object> done) {
    try {
      System.out.println(JSON.writeValueAsString(done));
    } catch (Exception error) {
      throw new IllegalStateException(error);
    }
  }
}
