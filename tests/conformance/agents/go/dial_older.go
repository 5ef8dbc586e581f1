//go:build older

package main

import "google.golang.org/grpc"

// Before 1.63 there was this one only, which connects at once.
var newClient = grpc.Dial
