//go:build !older

package main

import "google.golang.org/grpc"

var newClient = grpc.NewClient
