// The peer of the bench: go-control-plane's LinearCache, one for each type of resource, as fast as it can be used.
//
//	peer ADDRESS:PORT [CERTIFICATE KEY]
//
// Standard output: "listening". Standard input, as the bare loop reads it: "first SERVICE SLOT +BYTES" and "push SERVICE +BYTES", each
// followed by so many bytes of a DiscoveryResponse, whose resources are what is published from now on; "sync" is answered with "synced".
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"strings"

	_ "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"
)

var caches = map[string]*cache.LinearCache{
	resource.ListenerType: cache.NewLinearCache(resource.ListenerType),
	resource.ClusterType:  cache.NewLinearCache(resource.ClusterType),
	resource.EndpointType: cache.NewLinearCache(resource.EndpointType),
}

func publish(bytes []byte) error {
	response := &discovery.DiscoveryResponse{}
	if err := proto.Unmarshal(bytes, response); err != nil {
		return err
	}
	for _, one := range response.GetResources() {
		message, err := one.UnmarshalNew()
		if err != nil {
			return err
		}
		if err := caches[one.GetTypeUrl()].UpdateResource(cache.GetResourceName(message), message); err != nil {
			return err
		}
	}
	return nil
}

func command(input *bufio.Reader) error {
	line, err := input.ReadString('\n')
	if err != nil {
		return err
	}
	words := strings.Fields(line)
	if len(words) > 0 && words[0] == "sync" {
		fmt.Println("synced")
		return nil
	}
	_, digits, found := strings.Cut(line, "+")
	size, err := strconv.Atoi(strings.TrimSpace(digits))
	if !found || err != nil {
		return fmt.Errorf("not understood: %q", line)
	}
	bytes := make([]byte, size)
	if _, err := io.ReadFull(input, bytes); err != nil {
		return err
	}
	return publish(bytes)
}

func serve(arguments []string) error {
	options := []grpc.ServerOption{grpc.MaxConcurrentStreams(1000)}
	if len(arguments) == 3 {
		secret, err := credentials.NewServerTLSFromFile(arguments[1], arguments[2])
		if err != nil {
			return err
		}
		options = append(options, grpc.Creds(secret))
	}
	socket, err := net.Listen("tcp", arguments[0])
	if err != nil {
		return err
	}
	mux := &cache.MuxCache{
		Classify:      func(request *cache.Request) string { return request.GetTypeUrl() },
		ClassifyDelta: func(request *cache.DeltaRequest) string { return request.GetTypeUrl() },
		Caches:        map[string]cache.Cache{},
	}
	for url, linear := range caches {
		mux.Caches[url] = linear
	}
	plane := grpc.NewServer(options...)
	discovery.RegisterAggregatedDiscoveryServiceServer(plane, server.NewServer(context.Background(), mux, nil))
	fmt.Println("listening")
	return plane.Serve(socket)
}

func main() {
	if len(os.Args) != 2 && len(os.Args) != 4 {
		log.Fatal("usage: peer ADDRESS:PORT [CERTIFICATE KEY]")
	}
	go func() { log.Fatal(serve(os.Args[1:])) }()
	input := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		err := command(input)
		if err == io.EOF {
			return
		}
		if err != nil {
			log.Fatal(err)
		}
	}
}
