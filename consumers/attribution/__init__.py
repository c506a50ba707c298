"""Attribution: counts which likes follow the lists of experiments, in a thread of the consumer."""
