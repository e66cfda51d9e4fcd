"""What functions read and write besides their trigger: storage queues, blobs and tables, and binding expressions."""
