"""Where blobs and action results are kept. No gRPC, no processes."""
