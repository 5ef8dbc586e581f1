// Package lookaside resolves lookaside://SERVER/TARGET, for a program that does not use xDS: calls go
// in turn to the live backends of TARGET, such as greeter.shop:8001, as Lookaside at SERVER lists them.
//
//	import _ ".../lookaside"
//	conn, err := grpc.NewClient("lookaside://lookaside.lookaside.svc:18000/greeter.shop:8001", ...)
//
// Package lookaside.dev/api/v1 is what protoc makes of discovery.proto.
package lookaside

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/resolver"

	lookasidev1 "lookaside.dev/api/v1"
)

const (
	serviceConfig = `{"loadBalancingConfig": [{"round_robin": {}}]}`
	retryMin      = 100 * time.Millisecond
	retryMax      = 10 * time.Second
)

func init() { resolver.Register(builder{}) }

type builder struct{}

func (builder) Scheme() string { return "lookaside" }

func (builder) Build(target resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	if target.URL.Host == "" || target.Endpoint() == "" {
		return nil, errors.New("expected lookaside://SERVER/TARGET")
	}
	server, err := grpc.NewClient("dns:///"+target.URL.Host,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second}))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &follower{cc: cc, server: lookasidev1.NewBackendDiscoveryClient(server), target: target.Endpoint(), cancel: cancel}
	context.AfterFunc(ctx, func() { server.Close() })
	go f.run(ctx)
	return f, nil
}

type key struct { // what a backend goes by
	address string
	port    uint32
}

// follower is the resolver of one channel: it keeps a stream to the server, and the list of backends.
type follower struct {
	cc       resolver.ClientConn
	server   lookasidev1.BackendDiscoveryClient
	target   string
	cancel   context.CancelFunc
	version  string // of the list; "": there is none yet
	backends map[key]*lookasidev1.Backend
}

func (f *follower) ResolveNow(resolver.ResolveNowOptions) {} // the stream tells by itself
func (f *follower) Close()                                { f.cancel() }

// run opens the stream, again and again; the list stays meanwhile.
func (f *follower) run(ctx context.Context) {
	for wait := retryMin; ctx.Err() == nil; wait = min(2*wait, retryMax) {
		told, err := f.watch(ctx)
		if f.version == "" {
			f.cc.ReportError(err) // calls fail with it, but those that wait for ready
		}
		if told {
			wait = retryMin
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait/2 + rand.N(wait)):
		}
	}
}

// watch follows one stream to its end. Whether it told something.
func (f *follower) watch(ctx context.Context) (told bool, err error) {
	stream, err := f.server.Watch(ctx)
	if err != nil {
		return false, err
	}
	versions := map[string]string{f.target: f.version}
	if err := stream.Send(&lookasidev1.WatchRequest{Targets: []string{f.target}, Versions: versions}); err != nil {
		return false, err
	}
	for ; ; told = true {
		response, err := stream.Recv()
		if err != nil {
			return told, err
		}
		f.take(response)
	}
}

// take brings the list up to date, and gives it to the channel.
func (f *follower) take(response *lookasidev1.WatchResponse) {
	if response.Version == "" {
		if f.version == "" {
			f.cc.ReportError(errors.New(response.Problem))
		}
		return
	}
	if !response.Changes {
		f.backends = map[key]*lookasidev1.Backend{}
	}
	for _, gone := range response.Removed {
		delete(f.backends, key{gone.Address, gone.Port})
	}
	for _, backend := range response.Backends {
		f.backends[key{backend.Address, backend.Port}] = backend
	}
	f.version = response.Version
	f.cc.UpdateState(resolver.State{Endpoints: f.endpoints(), ServiceConfig: f.cc.ParseServiceConfig(serviceConfig)})
}

// endpoints are the nearest backends, each with the addresses of both families.
func (f *follower) endpoints() (nearest []resolver.Endpoint) {
	priority := ^uint32(0)
	for _, backend := range f.backends {
		priority = min(priority, backend.Priority)
	}
	for _, backend := range f.backends {
		if backend.Priority != priority {
			continue
		}
		addresses := []resolver.Address{{Addr: join(backend.Address, backend.Port)}}
		if backend.OtherAddress != "" {
			addresses = append(addresses, resolver.Address{Addr: join(backend.OtherAddress, backend.OtherPort)})
		}
		nearest = append(nearest, resolver.Endpoint{Addresses: addresses})
	}
	return nearest
}

func join(host string, port uint32) string { return net.JoinHostPort(host, strconv.Itoa(int(port))) }
