module lookaside.dev/tests/conformance/agent

go 1.26.0

require google.golang.org/grpc v1.60.1

