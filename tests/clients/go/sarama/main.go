// What every client here does, with sarama; see ../../README.md.
package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/IBM/sarama"
)

const replies = "recommendation-replies"

var codecs = []struct {
	name  string
	codec sarama.CompressionCodec
}{
	{"none", sarama.CompressionNone},
	{"gzip", sarama.CompressionGZIP},
	{"snappy", sarama.CompressionSnappy},
	{"lz4", sarama.CompressionLZ4},
	{"zstd", sarama.CompressionZSTD},
}

type object map[string]any

func main() {
	servers, name := os.Args[1], os.Args[2]

	for number, c := range codecs {
		compressing := producer(servers, compressed(c.codec))
		publish(compressing, name, object{"user_id": name, "item_id": fmt.Sprint("cat ", number)})
		say(object{"did": "like", "codec": c.name})
		check(compressing.Close())
	}
	plain := producer(servers, compressed(sarama.CompressionNone))
	publish(plain, name, object{"user_id": name, "item_id": "dog 0"})
	position := publish(plain, name, object{"action": "unlike", "user_id": name, "item_id": "dog 0"})
	say(object{"did": "unlike"})
	forgotten := name + "-forgotten"
	publish(plain, forgotten, object{"user_id": forgotten, "item_id": "cat 0"})
	publish(plain, forgotten, object{"action": "forget_user", "user_id": forgotten})
	say(object{"did": "forget"})
	check(plain.Close())

	transact(servers, name)
	ask(servers, name, position)
}

func compressed(codec sarama.CompressionCodec) *sarama.Config {
	config := sarama.NewConfig()
	config.Producer.Compression = codec
	config.Producer.Return.Successes = true
	return config
}

func producer(servers string, config *sarama.Config) sarama.SyncProducer {
	made, err := sarama.NewSyncProducer([]string{servers}, config)
	check(err)
	return made
}

// publish sends an event and returns its position, as partition:offset.
func publish(producer sarama.SyncProducer, user string, event object) string {
	partition, offset, err := producer.SendMessage(&sarama.ProducerMessage{
		Topic: "likes",
		Key:   sarama.StringEncoder(user),
		Value: sarama.ByteEncoder(encoded(event)),
	})
	check(err)
	return fmt.Sprintf("%d:%d", partition, offset)
}

func transact(servers, name string) {
	config := compressed(sarama.CompressionSnappy)
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Transaction.ID = name + "-likes"
	config.Net.MaxOpenRequests = 1
	transactional := producer(servers, config)
	for _, ending := range []string{"kept", "aborted"} {
		check(transactional.BeginTxn())
		user := name + "-" + ending
		publish(transactional, user, object{"user_id": user, "item_id": "cat 0"})
		if ending == "kept" {
			check(transactional.CommitTxn())
		} else {
			check(transactional.AbortTxn())
		}
		say(object{"did": ending})
	}
	check(transactional.Close())
}

func ask(servers, name, position string) {
	incoming := consume(servers)
	for _, c := range codecs {
		wanted := rand.Text()
		asking := producer(servers, compressed(c.codec))
		_, _, err := asking.SendMessage(&sarama.ProducerMessage{
			Topic: "recommendation-requests",
			Key:   sarama.StringEncoder(name),
			Value: sarama.ByteEncoder(encoded(object{"user_id": name, "count": 40, "after": position})),
			Headers: []sarama.RecordHeader{
				{Key: []byte("kafka_correlationId"), Value: []byte(wanted)},
				{Key: []byte("kafka_replyTopic"), Value: []byte(replies)},
			},
		})
		check(err)
		check(asking.Close())
		say(object{"did": "ask", "codec": c.name, "reply": replyTo(incoming, wanted)})
	}
}

// consume reads what comes to any partition of the reply topic from now on.
func consume(servers string) <-chan *sarama.ConsumerMessage {
	consumer, err := sarama.NewConsumer([]string{servers}, sarama.NewConfig())
	check(err)
	partitions, err := consumer.Partitions(replies)
	check(err)
	incoming := make(chan *sarama.ConsumerMessage)
	for _, partition := range partitions {
		reading, err := consumer.ConsumePartition(replies, partition, sarama.OffsetNewest)
		check(err)
		go func() {
			for message := range reading.Messages() {
				incoming <- message
			}
		}()
	}
	return incoming
}

func replyTo(incoming <-chan *sarama.ConsumerMessage, wanted string) json.RawMessage {
	timeout := time.After(30 * time.Second)
	for {
		select {
		case message := <-incoming:
			for _, header := range message.Headers {
				if string(header.Key) == "kafka_correlationId" && string(header.Value) == wanted {
					return message.Value
				}
			}
		case <-timeout:
			log.Fatal("no reply came")
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
