"""Storage of blobs and action results; knows neither gRPC nor processes."""
