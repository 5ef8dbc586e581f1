// An unmodified gRPC C++ client under remote control: commands come as JSON lines on standard
// input, one JSON line answers each. See ../README.md for the commands. One file, no generated
// code: messages are bytes, and the two JSON shapes that matter are read and written by hand.

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/client_unary_call.h>
#include <grpcpp/impl/codegen/rpc_method.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

// HelloRequest{name: "agent"}
constexpr char kRequest[] = "\x0a\x05" "agent";

double NowMs() {
    auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration<double, std::milli>(now).count();
}

// Quoted returns text as a JSON string; control characters become spaces.
std::string Quoted(const std::string& text) {
    std::string out = "\"";
    for (unsigned char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c < 0x20 ? ' ' : static_cast<char>(c);
    }
    return out + "\"";
}

// Command is one flat JSON object whose strings have no escapes.
class Command {
  public:
    explicit Command(std::string line) : line_(std::move(line)) {}

    std::string Text(const std::string& key, const std::string& otherwise = "") const {
        size_t at = ValueAt(key);
        if (at == std::string::npos || line_[at] != '"') return otherwise;
        return line_.substr(at + 1, line_.find('"', at + 1) - at - 1);
    }

    long Number(const std::string& key, long otherwise) const {
        size_t at = ValueAt(key);
        return at == std::string::npos ? otherwise : std::strtol(&line_[at], nullptr, 10);
    }

    bool Flag(const std::string& key) const {
        size_t at = ValueAt(key);
        return at != std::string::npos && line_.compare(at, 4, "true") == 0;
    }

  private:
    size_t ValueAt(const std::string& key) const {
        size_t at = line_.find("\"" + key + "\"");
        if (at == std::string::npos) return at;
        at = line_.find(':', at + key.size() + 2);
        return at == std::string::npos ? at : line_.find_first_not_of(" \t", at + 1);
    }

    std::string line_;
};

template <typename Value>
std::string Object(const std::map<std::string, Value>& values) {
    std::ostringstream out;
    out.precision(17);
    out << "{";
    const char* comma = "";
    for (const auto& [key, value] : values) {
        out << comma << Quoted(key) << ":" << value;
        comma = ",";
    }
    out << "}";
    return out.str();
}

const char* CodeName(grpc::StatusCode code) {
    static const char* const names[] = {
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
        "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
        "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
        "UNAUTHENTICATED"};
    return code >= 0 && code <= 16 ? names[code] : "UNKNOWN";
}

const char* StateName(grpc_connectivity_state state) {
    static const char* const names[] = {"IDLE", "CONNECTING", "READY", "TRANSIENT_FAILURE",
                                        "SHUTDOWN"};
    return names[state];
}

struct Totals {
    long ok = 0;
    long failed = 0;
    std::map<std::string, long> by_backend;
    std::map<std::string, long> errors;
    std::string first_error;
    double slowest_ms = 0;

    void Add(const Totals& other) {
        ok += other.ok;
        failed += other.failed;
        for (const auto& [name, count] : other.by_backend) by_backend[name] += count;
        for (const auto& [name, count] : other.errors) errors[name] += count;
        if (first_error.empty()) first_error = other.first_error;
        slowest_ms = std::max(slowest_ms, other.slowest_ms);
    }
};

// GrpclbConfig selects grpclb; the balancer is asked for name, or for what is dialled ("*").
std::string GrpclbConfig(const std::string& name) {
    std::string service = name == "*" ? "" : ",\"serviceName\":" + Quoted(name);
    return "{\"loadBalancingConfig\":[{\"grpclb\":{\"childPolicy\":[{\"round_robin\":{}}]" +
           service + "}}]}";
}

// Channel is one dialled target, and when each of its backends first answered.
class Channel {
  public:
    Channel(const std::string& target, long idle_ms, const std::string& name,
            const std::string& grpclb) {
        grpc::ChannelArguments arguments;
        if (idle_ms > 0) {
            arguments.SetInt(GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS, static_cast<int>(idle_ms));
        }
        if (!name.empty()) {      // else PickFirst takes what another channel has
            arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
        }
        if (!grpclb.empty()) {
            arguments.SetInt("grpc.dns_enable_srv_queries", 1);
            arguments.SetServiceConfigJSON(GrpclbConfig(grpclb));
        }
        channel_ = grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
        method_ = std::make_unique<grpc::internal::RpcMethod>(
            "/helloworld.Greeter/SayHello", grpc::internal::RpcMethod::NORMAL_RPC, channel_);
        std::thread([this] { Watch(); }).detach();
    }

    grpc::Status Once(std::chrono::milliseconds timeout, bool wait_for_ready,
                      const std::pair<std::string, std::string>& header, std::string* name) {
        grpc::ClientContext context;
        if (!header.first.empty()) context.AddMetadata(header.first, header.second);
        context.set_deadline(std::chrono::system_clock::now() + timeout);
        context.set_wait_for_ready(wait_for_ready);
        grpc::Slice bytes(kRequest, sizeof kRequest - 1);
        grpc::ByteBuffer request(&bytes, 1), reply;
        grpc::Status status = grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(
            channel_.get(), *method_, &context, request, &reply);
        grpc::Slice text;
        if (status.ok() && reply.DumpToSingleSlice(&text).ok()) {
            static const std::string from = " from ";
            std::string all(reinterpret_cast<const char*>(text.begin()), text.size());
            *name = all.substr(std::min(all.size(), all.find(from) + from.size()));
        }
        return status;
    }

    void Seen(const std::string& name) {
        std::lock_guard<std::mutex> hold(mutex_);
        first_seen_.emplace(name, NowMs());
    }

    std::string FirstSeen() {
        std::lock_guard<std::mutex> hold(mutex_);
        return Object(first_seen_);
    }

    const char* State() { return StateName(channel_->GetState(false)); }

  private:
    // Watch keeps one thread in the channel's poller. A program whose only threads are inside
    // blocking calls reads updates while a call runs, and every 5 s otherwise.
    void Watch() {
        for (;;) {
            grpc_connectivity_state state = channel_->GetState(false);
            auto forever = std::chrono::system_clock::time_point::max();
            channel_->NotifyOnStateChange(state, forever, &queue_, this);
            void* tag;
            bool ok;
            queue_.Next(&tag, &ok);
        }
    }

    grpc::CompletionQueue queue_;
    std::shared_ptr<grpc::Channel> channel_;
    std::unique_ptr<grpc::internal::RpcMethod> method_;
    std::mutex mutex_;
    std::map<std::string, double> first_seen_;
};

// Worker is one thread that calls until told to stop. Its counts are its own, so that a million
// calls in ten threads do not meet at one lock.
class Worker {
  public:
    Worker(Channel* channel, const Command& command, const std::function<bool()>& more)
        : channel_(channel),
          timeout_(command.Number("timeout_ms", 5000)),
          pause_(command.Number("pause_us", 0)),
          wait_for_ready_(command.Flag("wait_for_ready")),
          header_(command.Text("header"), command.Text("value")),
          more_(more),
          thread_([this] { Work(); }) {}

    void Join() { thread_.join(); }

    Totals Take() {
        std::lock_guard<std::mutex> hold(mutex_);
        Totals taken;
        std::swap(taken, sum_);
        return taken;
    }

  private:
    void Work() {
        while (more_()) {
            std::string name;
            Clock::time_point begin = Clock::now();
            grpc::Status status = channel_->Once(timeout_, wait_for_ready_, header_, &name);
            std::chrono::duration<double, std::milli> took = Clock::now() - begin;
            Count(status, name, took.count());
            if (pause_.count() > 0) std::this_thread::sleep_for(pause_);
        }
    }

    void Count(const grpc::Status& status, const std::string& name, double took) {
        std::lock_guard<std::mutex> hold(mutex_);
        sum_.slowest_ms = std::max(sum_.slowest_ms, took);
        if (!status.ok()) {
            sum_.failed++;
            sum_.errors[CodeName(status.error_code())]++;
            if (sum_.first_error.empty()) sum_.first_error = status.error_message();
            return;
        }
        sum_.ok++;
        sum_.by_backend[name]++;
        if (known_.emplace(name, true).second) channel_->Seen(name);
    }

    Channel* channel_;
    std::chrono::milliseconds timeout_;
    std::chrono::microseconds pause_;
    bool wait_for_ready_;
    std::pair<std::string, std::string> header_;
    std::function<bool()> more_;
    std::mutex mutex_;
    Totals sum_;
    std::map<std::string, bool> known_;
    std::thread thread_;          // last: it starts at once and uses all of the above
};

class Run {
  public:
    Run(Channel* channel, const Command& command, const std::function<bool()>& more)
        : channel_(channel) {
        for (long i = std::max(command.Number("threads", 1), 1L); i > 0; i--) {
            workers_.push_back(std::make_unique<Worker>(channel, command, more));
        }
    }

    void Join() {
        for (auto& worker : workers_) worker->Join();
    }

    // Take returns, as JSON, what was counted since the last take.
    std::string Take() {
        Totals sum;
        for (auto& worker : workers_) sum.Add(worker->Take());
        std::ostringstream out;
        out << "{\"ok\":" << sum.ok << ",\"failed\":" << sum.failed
            << ",\"by_backend\":" << Object(sum.by_backend)
            << ",\"errors\":" << Object(sum.errors)
            << ",\"first_error\":" << Quoted(sum.first_error)
            << ",\"slowest_ms\":" << sum.slowest_ms
            << ",\"first_seen_ms\":" << channel_->FirstSeen() << "}";
        return out.str();
    }

  private:
    Channel* channel_;
    std::vector<std::unique_ptr<Worker>> workers_;
};

class Agent {
  public:
    explicit Agent(std::string target) : target_(std::move(target)) {}

    std::string Handle(const Command& command) {
        std::string name = command.Text("cmd");
        if (name == "call") return Call(command);
        if (name == "start") return Start(command);
        if (name == "stats" && load_) return load_->Take();
        if (name == "stop" && load_) return Stop();
        if (name == "state") return std::string("{\"state\":\"") + Dial(command)->State() + "\"}";
        return "{\"error\":" + Quoted("no such command now: " + name) + "}";
    }

  private:
    Channel* Dial(const Command& command) {
        std::string target = command.Text("target", target_);
        long idle_ms = command.Number("idle_ms", 0);
        std::string name = command.Text("channel");
        std::string grpclb = command.Text("grpclb");
        auto& channel = channels_[{target, idle_ms, name, grpclb}];
        if (!channel) channel = std::make_unique<Channel>(target, idle_ms, name, grpclb);
        return channel.get();
    }

    std::string Call(const Command& command) {
        std::atomic<long> left{command.Number("n", 1)};
        Run run(Dial(command), command, [&left] { return left.fetch_sub(1) > 0; });
        run.Join();
        return run.Take();
    }

    std::string Start(const Command& command) {
        halt_ = false;
        load_ = std::make_unique<Run>(Dial(command), command, [this] { return !halt_; });
        return "{\"started\":true}";
    }

    std::string Stop() {
        halt_ = true;
        load_->Join();
        std::string taken = load_->Take();
        load_.reset();
        return taken;
    }

    std::string target_;
    std::map<std::tuple<std::string, long, std::string, std::string>, std::unique_ptr<Channel>>
        channels_;
    std::atomic<bool> halt_{false};
    std::unique_ptr<Run> load_;
};

}  // namespace

int main(int argc, char** argv) {
    Agent agent(argc > 1 ? argv[1] : "");
    std::string line;
    while (std::getline(std::cin, line)) std::cout << agent.Handle(Command(line)) << std::endl;
    std::_Exit(0);                // threads of an unfinished load are not waited for
}
