"""One module per gRPC service: translate, validate, delegate. No policy and no state of their own."""
