"""The wire contract: what travels over Kafka, and how its bytes are read and written."""
