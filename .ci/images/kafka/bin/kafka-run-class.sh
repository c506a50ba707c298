#!/usr/bin/env bash
# Runs a Java class with Kafka's jars: kafka-run-class.sh CLASS [ARGUMENT...].
set -euo pipefail

log_config=${KAFKA_LOG4J_OPTS:--Dlog4j2.configurationFile=/opt/kafka/config/tools-log4j2.yaml}

# The options are lists of words, so they are split on purpose.
# shellcheck disable=SC2086
exec java ${KAFKA_HEAP_OPTS:--Xmx256M} ${KAFKA_JVM_PERFORMANCE_OPTS:-} ${KAFKA_OPTS:-} \
    $log_config -cp '/opt/kafka/libs/*' "$@"
