// Agent is an unmodified grpc-go client under remote control: commands come as JSON lines on
// standard input, one JSON line answers each. See ../README.md for the commands.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer"
	_ "google.golang.org/grpc/balancer/grpclb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/serviceconfig"
	"google.golang.org/grpc/status"
	_ "google.golang.org/grpc/xds"
)

const method = "/helloworld.Greeter/SayHello"

// HelloRequest{name: "agent"}, encoded by hand: no generated code anywhere.
var request = []byte("\x0a\x05agent")

// raw passes messages through as bytes.
type raw struct{}

func (raw) Name() string                       { return "proto" }
func (raw) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error { *v.(*[]byte) = append([]byte(nil), data...); return nil }

type command struct {
	Cmd          string `json:"cmd"`
	Target       string `json:"target"`
	N            int64  `json:"n"`
	Threads      int    `json:"threads"`
	TimeoutMS    int64  `json:"timeout_ms"`
	WaitForReady bool   `json:"wait_for_ready"`
	PauseUS      int64  `json:"pause_us"`
	IdleMS       int64  `json:"idle_ms"`
	Channel      string `json:"channel"`
	Header       string `json:"header"`
	Value        string `json:"value"`
	Grpclb       string `json:"grpclb"`
}

type totals struct {
	OK         int64              `json:"ok"`
	Failed     int64              `json:"failed"`
	ByBackend  map[string]int64   `json:"by_backend"`
	Errors     map[string]int64   `json:"errors"`
	FirstError string             `json:"first_error"`
	SlowestMS  float64            `json:"slowest_ms"`
	FirstSeen  map[string]float64 `json:"first_seen_ms"`
}

func newTotals() *totals {
	return &totals{ByBackend: map[string]int64{}, Errors: map[string]int64{}}
}

// channel is one dialled target and the moment of the first reply of each of its backends.
type channel struct {
	conn      *grpc.ClientConn
	mu        sync.Mutex
	firstSeen map[string]float64
}

// grpclbConfig selects grpclb; the balancer is asked for name, or for what is dialled ("*").
func grpclbConfig(name string) string {
	policy := map[string]any{"childPolicy": []any{map[string]any{"round_robin": struct{}{}}}}
	if name != "*" {
		policy["serviceName"] = name
	}
	config, _ := json.Marshal(map[string]any{"loadBalancingConfig": []any{map[string]any{"grpclb": policy}}})
	return string(config)
}

func dial(target string, idle time.Duration, grpclb string) (*channel, error) {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})),
	}
	if idle > 0 {
		options = append(options, grpc.WithIdleTimeout(idle))
	}
	if grpclb != "" {
		options = append(options, grpc.WithDefaultServiceConfig(grpclbConfig(grpclb)))
	}
	conn, err := newClient(target, options...)
	return &channel{conn: conn, firstSeen: map[string]float64{}}, err
}

func backendOf(reply []byte) string {
	_, name, _ := strings.Cut(string(reply), " from ")
	return name
}

func (c *channel) once(cmd *command) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(cmd.TimeoutMS)*time.Millisecond)
	defer cancel()
	if cmd.Header != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, cmd.Header, cmd.Value)
	}
	var reply []byte
	err := c.conn.Invoke(ctx, method, &request, &reply, grpc.WaitForReady(cmd.WaitForReady))
	return backendOf(reply), err
}

// codeName spells a code as every other language does: "UNAVAILABLE".
func codeName(err error) string {
	data := []string{"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
		"ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
		"OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"}
	if code := status.Code(err); code <= codes.Unauthenticated {
		return data[code]
	}
	return "UNKNOWN"
}

// run makes calls in cmd.Threads goroutines until next says stop, counting into sink.
type run struct {
	ch   *channel
	cmd  *command
	next func() bool
	mu   sync.Mutex
	sum  *totals
	wg   sync.WaitGroup
}

func (r *run) start() {
	for range max(r.cmd.Threads, 1) {
		r.wg.Add(1)
		go func() {
			defer r.wg.Done()
			for r.next() {
				begin := time.Now()
				name, err := r.ch.once(r.cmd)
				r.count(name, err, time.Since(begin))
				if r.cmd.PauseUS > 0 {
					time.Sleep(time.Duration(r.cmd.PauseUS) * time.Microsecond)
				}
			}
		}()
	}
}

func (r *run) count(name string, err error, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sum.SlowestMS = max(r.sum.SlowestMS, float64(took.Microseconds())/1000)
	if err != nil {
		r.sum.Failed++
		r.sum.Errors[codeName(err)]++
		if r.sum.FirstError == "" {
			r.sum.FirstError = err.Error()
		}
		return
	}
	r.sum.OK++
	r.sum.ByBackend[name]++
	r.ch.mu.Lock()
	defer r.ch.mu.Unlock()
	if _, seen := r.ch.firstSeen[name]; !seen {
		r.ch.firstSeen[name] = float64(time.Now().UnixMicro()) / 1000
	}
}

// take returns what was counted since the last take.
func (r *run) take() *totals {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.sum
	r.sum = newTotals()
	r.ch.mu.Lock()
	defer r.ch.mu.Unlock()
	taken.FirstSeen = map[string]float64{}
	for name, at := range r.ch.firstSeen {
		taken.FirstSeen[name] = at
	}
	return taken
}

type agent struct {
	target   string
	channels map[string]*channel
	load     *run
	halt     *atomic.Bool
}

func (a *agent) channel(cmd *command) (*channel, error) {
	target := cmd.Target
	if target == "" {
		target = a.target
	}
	key := fmt.Sprint(target, " ", cmd.IdleMS, " ", cmd.Channel, " ", cmd.Grpclb)
	if found, ok := a.channels[key]; ok {
		return found, nil
	}
	made, err := dial(target, time.Duration(cmd.IdleMS)*time.Millisecond, cmd.Grpclb)
	if err == nil {
		a.channels[key] = made
	}
	return made, err
}

func (a *agent) call(ch *channel, cmd *command) any {
	var taken atomic.Int64
	r := &run{ch: ch, cmd: cmd, sum: newTotals(), next: func() bool { return taken.Add(1) <= cmd.N }}
	r.start()
	r.wg.Wait()
	return r.take()
}

func (a *agent) handle(cmd *command) any {
	switch cmd.Cmd {
	case "call", "start", "state":
		ch, err := a.channel(cmd)
		if err != nil {
			return map[string]string{"error": err.Error()}
		}
		if cmd.Cmd == "call" {
			return a.call(ch, cmd)
		}
		if cmd.Cmd == "state" {
			return map[string]string{"state": ch.conn.GetState().String()}
		}
		halt := &atomic.Bool{}
		a.halt = halt
		a.load = &run{ch: ch, cmd: cmd, sum: newTotals(), next: func() bool { return !halt.Load() }}
		a.load.start()
		return map[string]bool{"started": true}
	case "stats":
		return a.load.take()
	case "stop":
		a.halt.Store(true)
		a.load.wg.Wait()
		return a.load.take()
	}
	return map[string]string{"error": "unknown command " + cmd.Cmd}
}

// refuser is a policy that accepts no configuration: the client refuses every Cluster that asks for it.
type refuser struct{ balancer.Builder }

func (refuser) ParseConfig(json.RawMessage) (serviceconfig.LoadBalancingConfig, error) {
	return nil, errors.New("not this one")
}

func main() {
	if os.Getenv("AGENT_REFUSES_LEAST_REQUEST") != "" {
		balancer.Register(refuser{balancer.Get("least_request_experimental")})
	}
	a := &agent{channels: map[string]*channel{}}
	if len(os.Args) > 1 {
		a.target = os.Args[1]
	}
	answers := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		cmd := &command{TimeoutMS: 5000}
		if err := json.Unmarshal(lines.Bytes(), cmd); err != nil {
			answers.Encode(map[string]string{"error": err.Error()})
			continue
		}
		answers.Encode(a.handle(cmd))
	}
}
