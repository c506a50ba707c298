"""The likes of an evaluation: where they come from, and which are fitted on, tuned on and tested."""
