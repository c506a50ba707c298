// What every client here does, with franz-go; see ../../README.md.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const replies = "recommendation-replies"

var codecs = []struct {
	name  string
	codec kgo.CompressionCodec
}{
	{"none", kgo.NoCompression()},
	{"gzip", kgo.GzipCompression()},
	{"snappy", kgo.SnappyCompression()},
	{"lz4", kgo.Lz4Compression()},
	{"zstd", kgo.ZstdCompression()},
}

type object map[string]any

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	servers, name := os.Args[1], os.Args[2]

	for number, c := range codecs {
		compressing := client(servers, kgo.ProducerBatchCompression(c.codec))
		publish(ctx, compressing, name, object{"user_id": name, "item_id": fmt.Sprint("cat ", number)})
		say(object{"did": "like", "codec": c.name})
		compressing.Close()
	}
	// As franz-go is without options: idempotent, and snappy first.
	plain := client(servers)
	publish(ctx, plain, name, object{"user_id": name, "item_id": "dog 0"})
	position := publish(ctx, plain, name, object{"action": "unlike", "user_id": name, "item_id": "dog 0"})
	say(object{"did": "unlike"})
	forgotten := name + "-forgotten"
	publish(ctx, plain, forgotten, object{"user_id": forgotten, "item_id": "cat 0"})
	publish(ctx, plain, forgotten, object{"action": "forget_user", "user_id": forgotten})
	say(object{"did": "forget"})
	plain.Close()

	transact(ctx, servers, name)
	ask(ctx, servers, name, position)
}

func client(servers string, options ...kgo.Opt) *kgo.Client {
	made, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(servers)}, options...)...)
	check(err)
	return made
}

// publish sends an event and returns its position, as partition:offset.
func publish(ctx context.Context, producer *kgo.Client, user string, event object) string {
	record := &kgo.Record{Topic: "likes", Key: []byte(user), Value: encoded(event)}
	check(producer.ProduceSync(ctx, record).FirstErr())
	return fmt.Sprintf("%d:%d", record.Partition, record.Offset)
}

func transact(ctx context.Context, servers, name string) {
	producer := client(servers, kgo.TransactionalID(name+"-likes"))
	defer producer.Close()
	for _, ending := range []string{"kept", "aborted"} {
		check(producer.BeginTransaction())
		user := name + "-" + ending
		publish(ctx, producer, user, object{"user_id": user, "item_id": "cat 0"})
		check(producer.EndTransaction(ctx, kgo.TransactionEndTry(ending == "kept")))
		say(object{"did": ending})
	}
}

func ask(ctx context.Context, servers, name, position string) {
	consumer := client(servers, kgo.ConsumeTopics(replies),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer consumer.Close()
	for _, c := range codecs {
		wanted := rand.Text()
		asking := client(servers, kgo.ProducerBatchCompression(c.codec))
		check(asking.ProduceSync(ctx, &kgo.Record{
			Topic: "recommendation-requests",
			Key:   []byte(name),
			Value: encoded(object{"user_id": name, "count": 40, "after": position}),
			Headers: []kgo.RecordHeader{
				{Key: "kafka_correlationId", Value: []byte(wanted)},
				{Key: "kafka_replyTopic", Value: []byte(replies)},
			},
		}).FirstErr())
		asking.Close()
		say(object{"did": "ask", "codec": c.name, "reply": replyTo(ctx, consumer, wanted)})
	}
}

func replyTo(ctx context.Context, consumer *kgo.Client, wanted string) json.RawMessage {
	for {
		fetches := consumer.PollFetches(ctx)
		check(fetches.Err())
		for _, record := range fetches.Records() {
			for _, header := range record.Headers {
				if header.Key == "kafka_correlationId" && string(header.Value) == wanted {
					return record.Value
				}
			}
		}
	}
}

func encoded(value any) []byte {
	body, err := json.Marshal(value)
	check(err)
	return body
}

func say(done object) { fmt.Println(string(encoded(done))) }

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
