"""One module per gRPC service: each decodes, validates and delegates; policy and state are elsewhere."""
