//! SQL text to a checked job to a dataflow.
